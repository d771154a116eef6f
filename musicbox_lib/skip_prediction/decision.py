"""From chances to answers: the sequence of a second half that maximises the expected average accuracy."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from musicbox_lib.skip_prediction.sessions import Floats, Integers

AGREEMENT = 0.2
"""Correlation of any two answers of a second half beyond their chances. Between plays next to each other it is .39,
five apart .13, nine apart .04 (first three parts). With one number for all pairs, 0, .1, .2, .3, MAA was .5956, .5954,
.5975, .5979 there; 0 answers row by row."""
# Sessions at a time: 2,000 x 1,024 sequences of doubles are 16 MB.
_BLOCK = 2_000


def likeliest_answers(chances: Floats, sessions: Integers) -> npt.NDArray[np.bool_]:
    """(n,) whether to answer skip, for chances of rows in order of session and position.

    With L(i) = 1 where answer i is right, sum_i A(i) L(i) = sum_{j <= i} L(i) L(j) / i, so the expectation needs no
    more than pairs: E[L(i) L(j)] = r_i r_j + s_i s_j c_ij for the chance r_i that answer i is right, s_i = 1 for the
    answer skip and -1 for the other, and the covariance c_ij of two plays' skips. All 2^T sequences are tried; T is
    at most 10."""
    _, opens, lengths = np.unique(sessions, return_index=True, return_counts=True)
    answers = np.zeros(len(chances), dtype=np.bool_)
    for length in np.unique(lengths):
        starts = opens[lengths == length]
        for first in range(0, len(starts), _BLOCK):
            rows = starts[first : first + _BLOCK, None] + np.arange(length)
            answers[rows] = _best(chances[rows])
    return answers


def _best(chances: Floats) -> npt.NDArray[np.bool_]:
    """(n, T) answers for (n, T) chances."""
    size = chances.shape[1]
    signs = np.array(list(product((-1.0, 1.0), repeat=size)))
    lean = 2 * chances - 1
    spread = np.sqrt(chances * (1 - chances))
    later, sooner = np.tril_indices(size, -1)
    share = 1.0 / (later + 1)
    # r_i = (1 + s_i lean_i) / 2; terms without a sign are the same for every sequence.
    together = (lean[:, later] * lean[:, sooner] / 4 + AGREEMENT * spread[:, later] * spread[:, sooner]) * share
    alone = lean / 2 / np.arange(1, size + 1)
    # Answer i stands in i pairs as the later one, and in one with every later k as the sooner.
    places = np.arange(1, size + 1)
    alone += lean / 4 * ((places - 1) / places + (1 / places).sum() - np.cumsum(1 / places))
    value = alone @ signs.T + together @ (signs[:, later] * signs[:, sooner]).T
    best: npt.NDArray[np.bool_] = signs[value.argmax(axis=1)] > 0
    return best
