"""MusicBox: from raw session logs to three tracks for every active user."""
