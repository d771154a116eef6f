"""Exact draws from the logging policy for a block of sessions, without ever holding sessions x tracks.

Inverse transform sampling in two steps: the policy's softmax is summed over segments of 128 tracks (float32 products,
exponentials and sums in blocks that stay in the cache), a play's uniform number finds its segment among the sums, and
what is left of the number finds the track, for all plays of one segment together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musicbox_lib.errors import UsageError
from musicbox_lib.synthetic.tracks import Tracks
from musicbox_lib.synthetic.world import Bools, Floats, Floats32, Ints, World

# Tracks of a segment: with 50,000 tracks a play then looks at 391 sums and at 128 tracks.
SEGMENT = 128
# Segments and rows of one block of the softmax: 128 x 2,048 floats are 1 MB, which stays in the cache.
_SEGMENTS, _ROWS = 16, 128
# Plays of one segment that are looked up together: 2 MB of chances.
_PLAYS = 2_048
# A pool is full after some 60 draws where 50 different tracks are wanted; only a tiny catalogue takes many rounds.
_POOL_DRAWS, _POOL_ROUNDS = 64, 10_000


@dataclass(frozen=True)
class Choosers:
    """n rows that each draw from the policy with one mood, context and stage of the catalogue; arrays are (n,)."""

    pull: Floats32
    """The mood times its context's weight, (n, d)."""
    offer: Ints
    """Which row of the weights counts: a context at a stage."""
    total: Floats
    """The softmax's normaliser."""
    steps: Floats
    """Cumulative chances of the segments, (n, segments); the last is 1."""
    last: Ints
    """The last segment with any chance."""


class PolicyDraws:
    """The policy of a world over its catalogue, made ready for drawing."""

    def __init__(self, world: World, tracks: Tracks) -> None:
        self._world = world
        self._segments = -(-tracks.size // SEGMENT)
        room = self._segments * SEGMENT
        self._place = np.zeros((room, world.dimension), np.float32)
        self._place[: tracks.size] = tracks.place
        offered = np.zeros((len(tracks.releases), room), bool)
        offered[:, : tracks.size] = tracks.offered
        popular = np.zeros((len(world.contexts), room))
        popular[:, : tracks.size] = np.exp(np.outer(world.popularity_weight, tracks.log_popularity))
        self._stages = len(offered)
        # (contexts x stages, segments, SEGMENT)
        self._weights = (popular[:, None] * offered).astype(np.float32).reshape(-1, self._segments, SEGMENT)
        self._offered = offered.reshape(self._stages, self._segments, SEGMENT)
        self._explore = world.explore_share / offered.sum(axis=1)

    def choosers(self, mood: Floats, context: Ints, stage: Ints) -> Choosers:
        """Rows of moods (n, d), contexts (n,) and stages (n,), with their segments' chances."""
        weight = np.asarray(self._world.mood_weight, np.float32)[context]
        pull = mood.astype(np.float32) * weight[:, None]
        offer = context * self._stages + stage
        sums = self._segment_sums(pull, offer)
        total = sums.sum(axis=1)
        chances = sums * ((1 - self._world.explore_share) / total)[:, None]
        chances += (self._explore[:, None] * self._offered.sum(axis=2))[stage]
        steps = np.cumsum(chances, axis=1)
        steps /= steps[:, -1:]
        return Choosers(pull, offer, total, steps, (steps < 1).sum(axis=1))

    def draw(self, choosers: Choosers, rows: Ints, uniforms: Floats) -> tuple[Ints, Floats]:
        """A track for each of `rows` (m,), and the chance that it had, by `uniforms` (m,) in [0, 1)."""
        segments = self._segments
        # Row i's steps plus i, so that one search serves all rows; what rounds up to 1 is of the last segment with any.
        stairs = choosers.steps + np.arange(len(choosers.steps))[:, None]
        below = np.searchsorted(stairs.ravel(), rows + uniforms, side="right") - rows * segments
        segment = np.minimum(below, choosers.last[rows])
        before = np.where(segment > 0, choosers.steps[rows, segment - 1], 0.0)
        share = np.clip((uniforms - before) / (choosers.steps[rows, segment] - before), 0, 1)
        track, chance = np.empty(len(rows), np.int64), np.empty(len(rows))
        by = np.argsort(segment, kind="stable")
        edges = np.searchsorted(segment[by], np.arange(segments + 1))
        for at in np.unique(segment).tolist():
            for start in range(edges[at], edges[at + 1], _PLAYS):
                plays = by[start : min(start + _PLAYS, edges[at + 1])]
                slot, chance[plays] = self._within(choosers, rows[plays], at, share[plays])
                track[plays] = at * SEGMENT + slot
        return track, chance

    def pools(self, choosers: Choosers, rows: Ints, random: np.random.Generator) -> Ints:
        """For each row `uniform_pool` different tracks in order of their number, (m, uniform_pool): drawn one after
        the other without replacement, which is drawing with it and passing over what was drawn before."""
        size = self._world.uniform_pool
        drawn = np.empty((len(rows), 0), np.int64)
        pools = np.empty((len(rows), size), np.int64)
        open_rows = np.arange(len(rows))
        for _ in range(_POOL_ROUNDS):
            if not len(open_rows):
                return np.sort(pools, axis=1)
            m = len(open_rows)
            more, _ = self.draw(choosers, np.repeat(rows[open_rows], _POOL_DRAWS), random.random(m * _POOL_DRAWS))
            drawn = np.concatenate([drawn, more.reshape(m, _POOL_DRAWS)], axis=1)
            first = first_time(drawn)
            full = first.sum(axis=1) >= size
            wanted = first & (np.cumsum(first, axis=1) <= size)
            pools[open_rows[full]] = drawn[full][wanted[full]].reshape(-1, size)
            # Of the others only what is new is kept, in order, padded with the first track, which it already holds.
            kept = np.take_along_axis(drawn, np.argsort(~first, axis=1, kind="stable")[:, :size], axis=1)[~full]
            open_rows, drawn = open_rows[~full], kept
        raise UsageError(f"the logging policy hardly ever plays {size} different tracks: ask for more tracks.")

    def _segment_sums(self, pull: Floats32, offer: Ints) -> Floats:
        """Sums of weight x exp(<pull, track>) over each segment, (n, segments)."""
        sums = np.empty((len(pull), self._segments))
        for which in np.unique(offer):
            of_it = np.flatnonzero(offer == which)
            for start in range(0, len(of_it), _ROWS):
                rows = of_it[start : start + _ROWS]
                for first in range(0, self._segments, _SEGMENTS):
                    weights = self._weights[which, first : first + _SEGMENTS]
                    block = pull[rows] @ self._place[first * SEGMENT : (first + len(weights)) * SEGMENT].T
                    np.exp(block, out=block)
                    by_segment = block.reshape(len(rows), len(weights), SEGMENT).transpose(1, 0, 2)
                    sums[rows, first : first + len(weights)] = (by_segment @ weights[:, :, None])[:, :, 0].T
        return sums

    def _within(self, choosers: Choosers, rows: Ints, segment: int, share: Floats) -> tuple[Ints, Floats]:
        """The place in the segment and its chance, for rows whose numbers fell at `share` (0 to 1) of it."""
        offer = choosers.offer[rows]
        weights = np.exp(choosers.pull[rows] @ self._place[segment * SEGMENT : (segment + 1) * SEGMENT].T)
        weights = (weights * self._weights[offer, segment]).astype(np.float64)
        chances = weights * ((1 - self._world.explore_share) / choosers.total[rows])[:, None]
        stage = offer % self._stages
        chances += self._explore[stage, None] * self._offered[stage, segment]
        steps = np.cumsum(chances, axis=1)
        # Strictly below the last step: a track without a chance adds no step, so it is never found.
        target = np.minimum(share * steps[:, -1], np.nextafter(steps[:, -1], 0))
        slot = (steps <= target[:, None]).sum(axis=1)
        return slot, chances[np.arange(len(rows)), slot]


def first_time(drawn: Ints) -> Bools:
    """(n, m): whether each entry is the first of its value in its row."""
    order = np.argsort(drawn, axis=1, kind="stable")
    ranked = np.take_along_axis(drawn, order, axis=1)
    new = np.ones(drawn.shape, bool)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    first = np.empty(drawn.shape, bool)
    np.put_along_axis(first, order, new, axis=1)
    return first
