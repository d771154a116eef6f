"""Every policy: what it has fitted, and its scores."""
