"""The folds of users: 80/10/10 by a hash of the user."""

FOLDS = 10
TRAINING_FOLDS = 8
"""Folds 0 to 7 train."""
VALIDATION_FOLD = 8
"""Chooses between what was trained."""
HELD_OUT_FOLD = 9
"""Never fitted on, never chosen by."""
