"""A policy's answers to the last sessions, held against the generated truth: the skip to expect of its slates."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.slates import top_shares

if TYPE_CHECKING:
    import pyarrow as pa

    from musicbox_lib.blocks.candidates import Candidates
    from musicbox_lib.evaluation.contenders import Contender
    from musicbox_lib.synthetic.truth import Truth

Floats = npt.NDArray[np.float64]
Names = npt.NDArray[np.str_]

SLOTS = 3
DECIDED = 0.9
"""Below, coverage would speak of the few: `random` has no likeliest three at all."""
# Contexts at a time: `random` has up to 4,096 candidates, and 256 x 4,096 ids of 38 letters are 160 MB.
_BLOCK = 256


@dataclass(frozen=True)
class Answers:
    """What a policy recommends n users, and what would come of it."""

    skip: Floats
    """(n,) true chance of skip_2 as the next play, the mean over the three likeliest tracks; equal ones share a
    place."""
    slates: Names
    """(n, 3) the three likeliest tracks; '' where there are fewer, and where equal ones leave open which they are."""

    def variety(self, truth: Truth) -> tuple[float | None, float | None]:
        """Share of the catalogue in any slate, and 1 - mean pairwise cosine within a slate on the tracks' true places;
        None where less than nine in ten users have a slate that its chances alone decide."""
        held = self.slates != ""
        full = held.all(axis=1)
        if full.mean() < DECIDED:
            return None, None
        places = truth.tracks.place[truth.positions(self.slates[full])].astype(np.float64)
        cosines = np.einsum("nid,njd->nij", places, places)
        pairs = np.triu_indices(self.slates.shape[1], 1)
        ild = float(1 - cosines[:, pairs[0], pairs[1]].mean())
        return len(np.unique(self.slates[held])) / truth.tracks.size, ild


def answers_of(contender: Contender, contexts: pa.Table, truth: Truth, run_date: dt.date) -> Answers:
    """The policy's likeliest three after each context, rows of `gold.last_sessions` of `run_date`, through the same
    `propose` that scoring and every report call. Raises DataRefused for users or tracks of another world."""
    skips, slates = [], []
    names = np.append(contender.catalogue.track_ids, "")
    for start in range(0, contexts.num_rows, _BLOCK):
        rows = contexts.slice(start, _BLOCK)
        block = ContextBlock.of(rows, contender.catalogue)
        candidates = contender.policy.propose(block)
        shares = top_shares(candidates, SLOTS)
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
        # Only what has a part in the slate is asked for: 3 of 200 candidates, as a rule.
        kept = np.argsort(-shares, axis=1, kind="stable")[:, : max(SLOTS, int((shares > 0).sum(axis=1).max(initial=0)))]
        part = np.take_along_axis(shares, kept, axis=1)
        tracks = np.where(part > 0, names[np.take_along_axis(candidates.tracks, kept, axis=1)], "")
        users = rows["user_id"].to_numpy(zero_copy_only=False).astype("U")
        skips.append(truth.policy_value(users, run_date, tracks, part))
        slates.append(_slates(candidates, shares, names))
    return Answers(np.concatenate(skips), np.concatenate(slates))


def _slates(candidates: Candidates, shares: Floats, names: Any) -> Names:
    """(n, 3) ids of the candidates that have a whole place, likeliest first."""
    whole = shares > 0.999 / SLOTS
    ranked = np.lexsort((candidates.tracks, -np.where(whole, candidates.probabilities, -1.0)), axis=1)[:, :SLOTS]
    first = np.where(
        np.take_along_axis(whole, ranked, axis=1), np.take_along_axis(candidates.tracks, ranked, axis=1), -1
    )
    padded = np.full((len(first), SLOTS), -1, dtype=np.int32)
    padded[:, : first.shape[1]] = first
    return np.asarray(names[padded], dtype=np.str_)


def gap_closed(skip: float, logged: float, oracle: float) -> float:
    """(V_log - V) / (V_log - V_oracle): 0 as the logging policy, 1 as the oracle; not a number where the oracle gains
    nothing, as in a world where no track is better than another."""
    return (logged - skip) / (logged - oracle) if abs(logged - oracle) > 1e-6 else float("nan")
