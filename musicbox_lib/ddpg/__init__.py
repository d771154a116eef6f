"""DDPG-W: configuration, networks, losses, learner. Imports nothing else of the project."""
