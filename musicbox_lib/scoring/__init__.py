"""Three tracks for every active user, with the reason and the exact chance of each."""
