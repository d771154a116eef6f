"""The night's page and the data dictionary."""
