"""What is known of each track."""
