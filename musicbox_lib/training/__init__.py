"""From plays to what the learner reads."""
