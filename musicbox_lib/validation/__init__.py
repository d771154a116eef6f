"""One rule table for two readers: the split into silver and quarantine, and the Great Expectations suite."""
