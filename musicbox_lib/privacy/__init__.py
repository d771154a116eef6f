"""Users as pseudonyms, and users forgotten."""
