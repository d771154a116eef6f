"""How likely a user skips a track, from what was known before: simple, and fitted on nothing of the night it judges.

logit q(x, a) = logit(user) + logit(track) - logit(overall): user and track move the overall rate each on their own.
user is the user's skip rate before the play, shrunk; track is `skip_rate_shrunk` of the previous day's
`gold.track_features`; overall is that day's rate of all labelled plays. A doubly robust estimate needs no more: what
the model gets wrong, the weighted residuals put right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

USER_PRIOR_PLAYS = 10.0
"""Plays at the overall rate that a user starts with: users' levels differ by about 1 in logits, a variance near .04 in
rates against .25 of a single play, so 6; a little more because a user's plays hang together
(docs/method.md#sources-of-constants)."""
_EDGE = 0.01
# Rates are kept off 0 and 1, where a logit ends.


@dataclass(frozen=True)
class RewardModel:
    """The overall skip rate, and each track's logit less the overall one, by catalogue position (K,)."""

    overall: float
    track_effects: Floats

    @classmethod
    def of(cls, track_rates: Floats, overall: float) -> RewardModel:
        """From tracks' shrunk skip rates by catalogue position, NaN where a track has none."""
        rates = np.where(np.isfinite(track_rates), track_rates, overall)
        return cls(overall, _logit(rates) - _logit(np.float64(overall)))

    def skip(
        self, user_plays: npt.NDArray[np.int64], user_skips: npt.NDArray[np.int64], tracks: npt.NDArray[np.int32]
    ) -> Floats:
        """Chance of a skip (n, C) of candidate tracks (n, C), -1 for a track nobody knows, by users (n,) with so many
        labelled plays and skips before."""
        shrunk = (user_skips + USER_PRIOR_PLAYS * self.overall) / (user_plays + USER_PRIOR_PLAYS)
        effects = np.append(self.track_effects, 0.0)[tracks]
        logits: Floats = _logit(shrunk)[:, None] + effects
        return 1 / (1 + np.exp(-logits))


def _logit(rates: Floats | np.float64) -> Floats:
    kept = np.clip(rates, _EDGE, 1 - _EDGE)
    logits: Floats = np.log(kept) - np.log1p(-kept)
    return logits
