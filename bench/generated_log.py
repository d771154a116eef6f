"""A generated world's whole log as arrays: contexts as the evaluation sees them, and the truth of every play."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from musicbox_lib.blocks.catalogue import FOLDS, NEIGHBOURS, Catalogue
from musicbox_lib.blocks.contexts import CONTEXT_TYPES, HISTORY, ContextBlock
from musicbox_lib.blocks.draws import keys_of
from musicbox_lib.synthetic.generate import generate
from musicbox_lib.synthetic.truth import Truth
from musicbox_lib.synthetic.truth_plays import play_blocks
from musicbox_lib.synthetic.world import load_world

Floats = npt.NDArray[np.float64]
SKIP_PRIOR_PLAYS = 20.0
"""Plays at the overall rate that a track's skip rate starts with."""


@dataclass(frozen=True)
class GeneratedLog:
    """n plays, a user's one after the other in their order; arrays are (n,) unless said otherwise."""

    catalogue: Catalogue
    unlogged: npt.NDArray[np.bool_]
    """(K,) tracks that the logging policy never plays."""
    users: npt.NDArray[np.str_]
    """(users,)"""
    user: npt.NDArray[np.int64]
    """Position in `users`."""
    session: npt.NDArray[np.int64]
    track: npt.NDArray[np.int32]
    """Position in the catalogue."""
    grade: npt.NDArray[np.int8]
    propensity: Floats
    context: npt.NDArray[np.int8]
    hour: npt.NDArray[np.int8]
    premium: npt.NDArray[np.bool_]
    skip: npt.NDArray[np.float32]
    """(n, K) true chance of skip_2 of every track as this very play."""
    unlabelled: tuple[float, float]
    """A play whose latent answer lies between these two carries no label."""

    def __len__(self) -> int:
        return len(self.track)

    @property
    def skip_2(self) -> Floats:
        """1 where the play was skipped."""
        return (self.grade >= 2).astype(np.float64)

    @property
    def keys(self) -> npt.NDArray[np.uint64]:
        """Whose play it is, as the bootstrap has it."""
        return np.asarray(keys_of(self.users.tolist())[self.user], np.uint64)

    @classmethod
    def generate(cls, world: str, users: int, tracks: int, day: dt.date, seed: int, folder: Path) -> GeneratedLog:
        """Generate `users` listeners of a world within one day's delivery, and read log and truth."""
        generate(
            users=users, tracks=tracks, days=1, seed=seed, from_date=day, world=load_world(world),
            lake=folder / "lake", truth=folder / "truth", workers=1,
        )  # fmt: skip
        truth = Truth(folder / "truth")
        blocks = list(play_blocks(truth))
        plays = pa.table(
            {
                "user_id": np.concatenate([block.user_id for block in blocks]),
                "session_id": np.concatenate([block.session_id for block in blocks]),
                "position": np.concatenate([block.position for block in blocks]),
                "row": np.arange(sum(len(block.position) for block in blocks)),
            }
        )
        chances = np.concatenate([block.skip.astype(np.float32) for block in blocks])
        logged = pa.concat_tables(
            pyarrow.csv.read_csv(path) for path in sorted((folder / "lake").rglob("session_logs/*/*.csv.gz"))
        )
        joined = logged.join(
            plays, ["user_id", "session_id", "session_position"], ["user_id", "session_id", "position"]
        )
        # As sessions.contexts.ORDER has it; all is of one delivery here.
        joined = joined.sort_by(
            [(name, "ascending") for name in ("user_id", "date", "hour_of_day", "session_id", "session_position")]
        )
        catalogue, order = _catalogue(truth, folder)
        return cls._of(joined, chances[joined["row"].to_numpy()][:, order], catalogue, truth, order)

    @classmethod
    def _of(
        cls, rows: pa.Table, skip: npt.NDArray[np.float32], catalogue: Catalogue, truth: Truth, order: Any
    ) -> GeneratedLog:
        names, user = np.unique(_words(rows, "user_id"), return_inverse=True)
        _, session = np.unique(_words(rows, "session_id"), return_inverse=True)
        flags = [rows[name].to_numpy(zero_copy_only=False).astype(bool) for name in ("skip_1", "skip_2", "skip_3")]
        known = np.any([rows[name].to_numpy(zero_copy_only=False) for name in ("skip_3", "not_skipped")], axis=0)
        context = np.searchsorted(np.sort(CONTEXT_TYPES), _words(rows, "context_type"))
        return cls(
            catalogue=catalogue,
            unlogged=~truth.tracks.logged[order],
            users=names.astype("U"),
            user=user,
            session=session,
            track=catalogue.positions(rows["track_id_clean"].combine_chunks()),
            grade=np.where(known, np.sum(flags, axis=0), -1).astype(np.int8),
            propensity=rows["propensity"].to_numpy(),
            context=np.argsort(CONTEXT_TYPES)[context].astype(np.int8),
            hour=rows["hour_of_day"].to_numpy().astype(np.int8),
            premium=rows["premium"].to_numpy(zero_copy_only=False).astype(bool),
            skip=skip,
            unlabelled=(truth.world.not_skipped_below, truth.world.skip_3_above),
        )

    def label_chances(self, skip: Floats) -> Floats:
        """The chance that a play with that true chance of skip_2 carries a label: its latent answer is logistic around
        the logit of that chance."""
        odds = skip / (1 - skip)
        below, above = (1 / (1 + np.exp(edge) / odds) for edge in self.unlabelled)
        return np.asarray(1 - (below - above), np.float64)

    def of_users(self, first: int, beyond: int) -> GeneratedLog:
        """The plays of users `first` to `beyond` - 1, which then are its only users."""
        rows = (self.user >= first) & (self.user < beyond)
        each = ("session", "track", "grade", "propensity", "context", "hour", "premium", "skip")
        taken: dict[str, Any] = {name: getattr(self, name)[rows] for name in each}
        return replace(self, users=self.users[first:beyond], user=self.user[rows] - first, **taken)

    def track_rates(self) -> tuple[Floats, float]:
        """Tracks' skip rates (K,), drawn to the overall one, and the overall one."""
        labelled = self.grade >= 0
        plays = np.bincount(self.track[labelled], minlength=len(self.catalogue))
        skips = np.bincount(self.track[labelled], weights=self.skip_2[labelled], minlength=len(self.catalogue))
        overall = float(skips.sum() / plays.sum())
        return (skips + overall * SKIP_PRIOR_PLAYS) / (plays + SKIP_PRIOR_PLAYS), overall

    def blocks(self, size: int) -> Iterator[tuple[int, ContextBlock, npt.NDArray[np.float32]]]:
        """Blocks of plays: where the block starts, the contexts before its plays, the truth of its plays (n, K)."""
        first = np.searchsorted(self.user, np.arange(len(self.users)))[self.user]
        opening = np.searchsorted(self._session_starts, np.arange(len(self)), side="right") - 1
        begins = self._session_starts[opening]
        labelled, skipped = (np.concatenate([[0], np.cumsum(part)]) for part in (self.grade >= 0, self.skip_2))
        for start in range(0, len(self), size):
            rows = np.arange(start, min(start + size, len(self)))
            before = rows[:, None] - HISTORY + np.arange(HISTORY)
            there = before >= first[rows, None]
            held = before.clip(min=0)
            n_in_session = np.minimum(rows - begins[rows], HISTORY).astype(np.int32)
            yield (
                start,
                ContextBlock(
                    keys=self.users[self.user[rows]],
                    tracks=np.where(there, self.track[held], -1).astype(np.int32),
                    grades=np.where(there, self.grade[held], -1).astype(np.int8),
                    in_session=np.arange(HISTORY) >= HISTORY - n_in_session[:, None],
                    n_in_session=n_in_session,
                    context=self.context[rows],
                    hour=self.hour[rows],
                    shuffle=np.zeros(len(rows), dtype=np.bool_),
                    premium=self.premium[rows],
                    user_plays=labelled[rows] - labelled[first[rows]],
                    user_skips=(skipped[rows] - skipped[first[rows]]).astype(np.int64),
                    fold=np.zeros(len(rows), dtype=np.int8),
                ),
                self.skip[rows],
            )

    @property
    def _session_starts(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(np.concatenate([[True], self.session[1:] != self.session[:-1]]))


def _words(rows: pa.Table, name: str) -> npt.NDArray[np.str_]:
    return np.asarray(rows[name].to_numpy(zero_copy_only=False), dtype=np.str_)


def _catalogue(truth: Truth, folder: Path) -> tuple[Catalogue, npt.NDArray[np.int64]]:
    """The tracks sorted by id, placed by their delivered acoustic vectors; and where each stands in the truth."""
    order = np.argsort(truth.tracks.ids)
    ids = np.array(truth.tracks.ids)[order]
    delivered = pa.concat_tables(
        pyarrow.csv.read_csv(path) for path in sorted((folder / "lake" / "landing" / "tracks").glob("*.csv.gz"))
    ).sort_by("track_id")
    sound = np.column_stack([delivered[f"acoustic_vector_{i}"].to_numpy() for i in range(8)]).astype(np.float32)
    sound /= np.linalg.norm(sound, axis=1, keepdims=True)
    popularity = truth.tracks.popularity[order]
    return (
        Catalogue(
            track_ids=ids,
            embedding=sound,
            quality_by_fold=np.zeros((len(ids), FOLDS), dtype=np.float32),
            plays=np.round(popularity * 1e6).astype(np.int64),
            play_share=popularity,
            audio=None,
            artists=truth.tracks.artist[order].astype(np.int32),
            neighbours=np.full((len(ids), NEIGHBOURS), -1, dtype=np.int32),
            similarities=np.zeros((len(ids), NEIGHBOURS), dtype=np.float32),
        ),
        order,
    )
