"""The model store: folders, the registry, the champion and the fitted baselines."""
