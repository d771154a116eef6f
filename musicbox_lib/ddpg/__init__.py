"""DDPG-W: state, networks, losses, learner."""
