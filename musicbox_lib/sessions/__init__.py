"""A user's plays in order, and what was known before each."""
