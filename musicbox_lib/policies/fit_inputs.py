"""What a policy may be fitted on: the training folds' plays in the forms that the fits share, each made once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.policies.pair_features import training_features

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from musicbox_lib.policies.training_plays import Plays, StoredSessions


class FitInputs:
    """The catalogue and the seed of a training, and its plays where it has any. A fit takes what it needs; whatever
    nobody asks for is not made. A policy whose `needs_plays` is False may ask for the catalogue and the seed alone."""

    def __init__(
        self, catalogue: Catalogue, seed: int, events: DataFrame | None = None, sample: Plays | None = None
    ) -> None:
        """`events`: rows of silver.listening_events, of any fold; `sample`: labelled plays of the training folds."""
        self.catalogue = catalogue
        self.seed = seed
        self._events = events
        self._sample = sample

    @cached_property
    def plays(self) -> DataFrame:
        """Every play of the training folds, unlabelled ones too: the columns of silver.listening_events and the
        track's `position` in the catalogue. Persisted until `release`: count and factorise in Spark, and collect
        arrays of tracks, never plays or users."""
        from musicbox_lib.policies.training_plays import training_plays

        if self._events is None:
            raise ValueError("these inputs have no events: a fit that counts in Spark needs them, and needs_plays.")
        return training_plays(self._events, self.catalogue).persist()

    @cached_property
    def newest_sessions(self) -> StoredSessions:
        """The training sessions heard last, at most MOST_SESSIONS, newest first."""
        from musicbox_lib.policies.training_plays import newest_sessions

        return newest_sessions(self.plays)

    @property
    def sample(self) -> Plays:
        """Labelled plays with the context before each, some 100,000, in a fixed order."""
        if self._sample is None:
            raise ValueError("these inputs have no sample of plays: set needs_plays on the policy that asks for it.")
        return self._sample

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """(n, P) pair features of the sample's plays, the track's quality out of the user's fold."""
        return training_features(self.sample, self.catalogue)

    def release(self) -> None:
        """Let Spark forget the plays that it keeps."""
        if "plays" in self.__dict__:
            self.plays.unpersist()
