"""What a context is, and what every policy meets."""
