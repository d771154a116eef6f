"""What an extension tests itself with: the interfaces' own checks."""
