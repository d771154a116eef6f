"""The conformance suite of the policy interface: call `assert_policy` from a test of your own.

    def test_my_policy_is_a_policy() -> None:
        assert_policy(MyPolicy, small_inputs())

Every check raises AssertionError with a sentence that names the policy and the rule.
"""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicbox_lib.blocks.candidates import SOURCES, Candidates, Policy
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.slates import Spread, draw_slates, slot_chances
from musicbox_lib.policies.base import Arrays, FittedPolicy, ListedPolicy
from musicbox_lib.policies.fit_inputs import FitInputs
from musicbox_lib.testing.small_world import small_contexts

DTYPES = {"tracks": np.int32, "scores": np.float32, "probabilities": np.float64, "sources": np.int8}
SLOTS = 3
ENUMERATED = (0, 2, 5)
"""Contexts whose slates are all listed: no history, skips alone, three tracks left. Of 40 tracks there are 59,280."""
DRAWS = 4_000
"""Slates drawn of one context: a chance of one half has a standard error of .008."""


def assert_policy(policy: type[FittedPolicy], inputs: FitInputs) -> None:
    """All that holds of a policy's class and of what it proposes, fitted on `inputs` (`small_world.small_inputs`)."""
    assert_named(policy)
    arrays = policy.fit(inputs)
    assert_arrays_come_back(policy, arrays, inputs)
    assert_proposals(policy.from_arrays(arrays, inputs.catalogue), small_contexts(), inputs.catalogue)
    if not policy.needs_plays:
        assert_proposals(policy.over(inputs.catalogue, inputs.seed), small_contexts(), inputs.catalogue)


def assert_named(policy: type[ListedPolicy]) -> None:
    """A name that tables and files can have, and a label."""
    plain = re.fullmatch(r"[a-z][a-z0-9_]{0,62}", policy.name)
    _require(plain, policy.name, "the name has other characters than a-z, 0-9 and _")
    _require(policy.label.strip(), policy.name, "the label is empty")


def assert_arrays_come_back(policy: type[FittedPolicy], arrays: Arrays, inputs: FitInputs) -> None:
    """A second fit gives the same bits; the arrays come back from a file, and the policy of those proposes the same."""
    again = policy.fit(inputs)
    _require(set(again) == set(arrays), policy.name, "a second fit has other arrays")
    for name, values in arrays.items():
        same = np.array_equal(np.asarray(values), np.asarray(again[name]), equal_nan=_has_nan(values))
        _require(same, policy.name, f"a second fit on the same inputs has another {name}")
        _require(not np.asarray(values).dtype.hasobject, policy.name, f"{name} holds objects")
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **{name: np.asarray(values) for name, values in arrays.items()})
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        kept = dict(loaded)
    contexts = small_contexts()
    before, after = (policy.from_arrays(given, inputs.catalogue).propose(contexts) for given in (arrays, kept))
    _same(before, after, policy.name, "the policy of the saved arrays proposes something else")


def assert_proposals(policy: Policy, contexts: ContextBlock, catalogue: Catalogue) -> None:
    """The contract of `propose`: whole candidates for every context, the same ones for the same context and seed in any
    block, and slates whose written chances are exact."""
    whole = policy.propose(contexts)
    assert_shape(whole, len(contexts), len(catalogue), policy.name)
    assert_candidates(whole, contexts, policy.name)
    _same(whole, policy.propose(contexts), policy.name, "asked again, it proposes something else")
    nobody = policy.propose(contexts.take(slice(0, 0)))
    assert_shape(nobody, 0, len(catalogue), policy.name)
    chances = _by_track(whole, len(catalogue))
    for block in (slice(0, 1), slice(1, 6), slice(len(contexts) - 3, None)):
        alone = _by_track(policy.propose(contexts.take(block)), len(catalogue))
        # The last bits of a network's answer depend on the block.
        close = np.allclose(alone, chances[block], atol=1e-3)
        where = f"contexts {block.start} to {block.stop}"
        _require(close, policy.name, f"{where} alone get other chances than in the block")
    for row in [row for row in ENUMERATED if row < len(contexts)]:
        assert_exact_slates(whole.take(slice(row, row + 1)), Spread.of(catalogue), policy.name)


def assert_shape(candidates: Candidates, contexts: int, tracks: int, name: str = "the policy") -> None:
    """Arrays (n, C) of one width, of the declared types, with positions of the catalogue and known sources."""
    for field, dtype in DTYPES.items():
        values = getattr(candidates, field)
        _require(values.dtype == dtype, name, f"{field} are {values.dtype}, not {np.dtype(dtype)}")
        shape = (contexts, candidates.tracks.shape[-1])
        _require(values.shape == shape, name, f"{field} are {values.shape}, where contexts and tracks make {shape}")
    _require(((candidates.tracks >= -1) & (candidates.tracks < tracks)).all(), name, "a track is not of the catalogue")
    known = (candidates.sources >= 0) & (candidates.sources < len(SOURCES))
    _require(known[candidates.tracks >= 0].all(), name, "a source has no code in SOURCES")
    _require(np.isfinite(candidates.scores[candidates.tracks >= 0]).all(), name, "a candidate's score is not finite")
    _require(0 <= candidates.explore <= 1, name, f"the exploring share is {candidates.explore}")


def assert_candidates(candidates: Candidates, contexts: ContextBlock, name: str = "the policy") -> None:
    """Chances of a row sum to 1 and are 0 at pads; no candidate has less than the exploring share leaves it; no track
    comes twice, none that the session has heard."""
    held = candidates.tracks >= 0
    sums = candidates.probabilities.sum(axis=1)
    np.testing.assert_allclose(sums, 1.0, atol=1e-12, err_msg=f"{name}: chances of a row do not sum to 1")
    _require((candidates.probabilities >= 0).all(), name, "a chance is negative")
    _require((candidates.probabilities[~held] == 0).all(), name, "a pad has a chance")
    even = candidates.explore / np.maximum(held.sum(axis=1, keepdims=True), 1)
    least = np.where(held, candidates.probabilities - even, 0.0).min(initial=0.0)
    _require(least > -1e-12, name, "a candidate has less than its part of the exploring share")
    for row in range(len(contexts)):
        tracks = candidates.tracks[row][held[row]]
        heard = contexts.tracks[row][contexts.in_session[row]]
        _require(len(np.unique(tracks)) == len(tracks), name, f"context {row} has a track twice")
        _require(not np.isin(tracks, heard).any(), name, f"context {row} has a track that its session has heard")


def assert_exact_slates(candidates: Candidates, spread: Spread, name: str = "the policy") -> None:
    """Of one context: the chances of all slates that can be drawn sum to 1, no slate has a track twice, and a drawn
    slate's written chances are those of the enumeration, as often as it is drawn."""
    slates, chances = enumerated(candidates, spread)
    np.testing.assert_allclose(chances.sum(), 1.0, atol=1e-9, err_msg=f"{name}: the chances of all slates")
    keys = np.array([f"k{number}" for number in range(DRAWS)])
    drawn = draw_slates(candidates.take(np.zeros(DRAWS, np.int64)), keys, 11, SLOTS, spread)
    codes = {tuple(slate): chance for slate, chance in zip(slates.tolist(), chances.tolist(), strict=True)}
    written = drawn.propensity.prod(axis=1, where=drawn.tracks >= 0)
    expected = [codes[tuple(slate)] for slate in drawn.tracks.tolist()]
    np.testing.assert_allclose(written, expected, rtol=1e-9, err_msg=f"{name}: a slate's written chance")
    first = np.bincount(drawn.tracks[:, 0], minlength=int(candidates.tracks.max()) + 1) / DRAWS
    of_first = _by_track(candidates, len(first))[0]
    error = np.sqrt(of_first * (1 - of_first) / DRAWS)
    _require((np.abs(first - of_first) <= 6 * error + 1e-3).all(), name, "a track is drawn more often than its chance")


def enumerated(candidates: Candidates, spread: Spread) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Every slate (m, SLOTS) that one context's candidates can give, -1 where they run out, and its chance (m,)."""
    slates, joint = np.full((1, 0), -1, np.int32), np.ones(1)
    for _ in range(SLOTS):
        chances, _exploring = slot_chances(candidates.take(np.zeros(len(slates), np.int64)), slates, spread)
        ran_out = ~chances.any(axis=1)
        above, columns = np.nonzero(chances > 0)
        longer = np.column_stack([slates[above], candidates.tracks[0, columns]])
        ended = np.column_stack([slates[ran_out], np.full(ran_out.sum(), -1, np.int32)])
        slates = np.concatenate([longer, ended]).astype(np.int32)
        joint = np.concatenate([joint[above] * chances[above, columns], joint[ran_out]])
    return slates, joint


def _by_track(candidates: Candidates, tracks: int) -> NDArray[np.float64]:
    """(n, K) chances."""
    chances = np.zeros((len(candidates), tracks))
    rows, columns = np.nonzero(candidates.tracks >= 0)
    chances[rows, candidates.tracks[rows, columns]] = candidates.probabilities[rows, columns]
    return chances


def _same(one: Candidates, other: Candidates, name: str, sentence: str) -> None:
    same = all(np.array_equal(getattr(one, field), getattr(other, field)) for field in DTYPES)
    _require(same and one.explore == other.explore, name, sentence)


def _has_nan(values: Any) -> bool:
    return np.asarray(values).dtype.kind == "f"


def _require(holds: Any, name: str, sentence: str) -> None:
    if not holds:
        raise AssertionError(f"{name}: {sentence}.")
