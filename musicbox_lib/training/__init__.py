"""From plays to models: transitions, training, comparison, registration, baselines."""
