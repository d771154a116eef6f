"""The command `musicbox`: one file per subject."""
