"""Gradient boosting of skip_2 on listed columns, and cross-fitting: nobody is predicted by a model that saw him."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from musicbox_lib.blocks.folds import FOLDS
from musicbox_lib.errors import DataRefused
from musicbox_lib.skip_prediction.listed import Features, require_listed
from musicbox_lib.skip_prediction.sessions import Answers, Floats, Integers
from musicbox_lib.skip_prediction.tasks import Rows, Task

if TYPE_CHECKING:
    import lightgbm

PARTS = 5
"""Parts of the users, two of the ten folds each: a model per part, fitted on the other four."""
SIDE_BY_SIDE = 2
"""Parts fitted at a time: the smallest machine has two cores, and each part's rows are in memory."""
ROUNDS = {"second_half": 500, "next_play": 300}
"""Trees. Log loss on the first three parts: .5842, .5817, .5790, .5784 after 200, 300, 500, 700 for the second half,
.4987, .4975, .4969 after 200, 300, 500 for the next play."""
SAMPLED = {"second_half": 0.25, "next_play": 0.5}
"""Share of the rows that a tree sees. A second half comes nine times, split here and there: with a quarter log loss was
.5784, with a half .5790, in twice the time. Next plays, which come once: .4989 and .4975."""
BOOSTING: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.04,
    "num_leaves": 15,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.3,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "max_bin": 63,
    # The same bits on every run.
    "deterministic": True,
    "force_col_wise": True,
    # Threads of one fit wait for each other at every split: 100 trees took 3.0 s with one and 24.9 s with two on two
    # cores that other work shared. Two parts are fitted side by side instead.
    "num_threads": 1,
    "verbosity": -1,
}
"""Small trees on a third of the columns each: neighbouring columns say nearly the same, and training rows are many more
than sessions. With 31 leaves the first three parts' log loss was .5788 and MAA .5959, with 15 .5790 and .5975."""


@dataclass(frozen=True)
class SkipModel:
    """A fitted model and the columns that it reads, in order."""

    task: str
    names: tuple[str, ...]
    booster: lightgbm.Booster

    def chances(self, features: Features) -> Floats:
        """(n,) chance of skip_2. Raises ValueError for other columns than it was fitted on."""
        if features.names != self.names:
            raise ValueError(f"the {self.task} model was fitted on other columns than it is given.")
        return np.asarray(self.booster.predict(features.values), dtype=np.float64)


def fitted(task: Task, features: Features, skipped: Floats, seed: int) -> SkipModel:
    """Fit on (n, F) features and (n,) skips. Raises DataRefused for a column that is not listed or gives the label
    away."""
    import lightgbm

    require_listed(features.names, task.listed)
    data = lightgbm.Dataset(features.values, skipped)
    chosen = {**BOOSTING, "bagging_fraction": SAMPLED[task.name], "seed": seed}
    booster = lightgbm.train(chosen, data, ROUNDS[task.name])
    return SkipModel(task.name, features.names, booster)


def part_of(folds: Integers) -> Integers:
    """The part of cross-fitting that a user fold belongs to."""
    return folds // (FOLDS // PARTS)


def out_of_part(task: Task, answers: Answers, seed: int) -> tuple[Rows, Floats]:
    """The task's judged rows of all its sessions, and the chance of a skip (n,) of each by the model of its part.

    A part's model reads no session of it: neither as rows nor in the track columns, which also leave out the row's
    own fold. Raises DataRefused where all users are of one part."""
    parts = part_of(task.sessions.folds)
    found = np.unique(parts)
    if len(found) == 1:
        raise DataRefused("skip_prediction: all users fall into one part, nobody is left to learn from: land more.")
    judged = task.judged_rows(np.ones(len(parts), dtype=np.bool_))
    chances = np.full(len(judged[0]), np.nan)
    part_of_row = parts[judged[0]]

    def predict(part: int) -> None:
        known = answers.without(tuple(fold for fold in range(FOLDS) if fold // (FOLDS // PARTS) == part))
        learned = task.training_rows(parts != part)
        skipped = task.sessions.skips[learned[0], learned[2]]
        model = fitted(task, task.features(learned, known), skipped, seed + part)
        s, h, i = (axis[part_of_row == part] for axis in judged)
        chances[part_of_row == part] = model.chances(task.features((s, h, i), known))

    # LightGBM lets go of the interpreter while it fits.
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(predict, found.tolist()))
    return judged, chances
