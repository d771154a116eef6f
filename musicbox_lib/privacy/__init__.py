"""What is kept and for how long, and users forgotten."""
