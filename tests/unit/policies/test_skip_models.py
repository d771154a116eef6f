"""Pair features and the skip models on them: two forms of one number, nothing of a user's own answers, answers reckoned
by hand, no matter the block."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from catalogues import make_catalogue, make_contexts
from frames import DAY, frame, listeners

from musicbox_lib.blocks.catalogue import OUT_OF_TRAINING, Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.blocks.state import COUNT_PRIOR, state_dim
from musicbox_lib.features.track_features import track_features
from musicbox_lib.policies.bandit import ALPHA, Bandit, Belief, fit_bandit
from musicbox_lib.policies.pair_features import CENTROIDS, FEATURES, PAIR, SCALARS, Pairs, training_features
from musicbox_lib.policies.ranking import Ranked
from musicbox_lib.policies.skip_lightgbm import SkipLightgbm, fit_lightgbm
from musicbox_lib.policies.skip_logistic import SkipLogistic, fit_logistic
from musicbox_lib.policies.training_plays import Plays, sampled_plays
from musicbox_lib.testing.policies import assert_candidates

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SIZE = 50


def made(seed: int = 0) -> tuple[Catalogue, ContextBlock]:
    """Tracks with quality, audio and artists; 30 users with histories, and one without."""
    rng = np.random.default_rng(seed)
    audio = rng.normal(size=(SIZE, 3)).astype(np.float32)
    audio[5] = np.nan
    catalogue = dataclasses.replace(
        make_catalogue(SIZE, plays=list(range(SIZE)), artists=[-1, *[at // 4 for at in range(SIZE - 1)]]),
        quality_by_fold=rng.normal(scale=0.1, size=(SIZE, 10)).astype(np.float32),
        audio=audio,
    )
    histories = [[(int(t), int(rng.integers(-1, 4))) for t in rng.integers(0, SIZE, size=25)] for _ in range(30)]
    return catalogue, make_contexts([*histories, []], [12] * 30 + [0])


def at(name: str) -> int:
    return FEATURES.index(name)


def test_the_scalars_are_the_states_but_its_last() -> None:
    assert state_dim(8) == len(CENTROIDS) * 8 + len(SCALARS) + 1
    catalogue, contexts = made()
    scalars = Pairs(contexts, catalogue).scalars
    assert scalars[0, SCALARS.index("premium")] == 1
    assert scalars[30, SCALARS.index("first_play")] == 1
    np.testing.assert_allclose(scalars[0, SCALARS.index("place_falling")], np.exp(-12), rtol=1e-5)


def test_features_by_hand() -> None:
    catalogue, _ = made()
    # Track 4 not skipped (artist 0), track 9 skip_1 (artist 2); both in the session.
    contexts = make_contexts([[(4, 0), (9, 3)]], [2])
    tracks = np.array([[4, 3, 10, 0]], np.int32)
    found = Pairs(contexts, catalogue).features(tracks, np.full((1, 4), 0.7, np.float32))[0]
    e = catalogue.embedding
    np.testing.assert_allclose(found[:, at("liked_session")], e[tracks[0]] @ e[4] / (1 + COUNT_PRIOR), rtol=1e-5)
    np.testing.assert_allclose(found[:, at("skipped_all")], e[tracks[0]] @ e[9] / (1 + COUNT_PRIOR), rtol=1e-5)
    assert catalogue.audio is not None
    units = catalogue.audio / np.linalg.norm(catalogue.audio, axis=1, keepdims=True)
    np.testing.assert_allclose(
        found[:, at("audio_liked_session")], units[tracks[0]] @ units[4] / (1 + COUNT_PRIOR), rtol=1e-5
    )
    np.testing.assert_array_equal(found[:, at("quality")], np.full(4, 0.7, np.float32))
    np.testing.assert_allclose(found[:, at("log_plays")], np.log1p([4, 3, 10, 0]) - np.log1p(24.5), rtol=1e-5)
    # Artists of 4, 3, 10 are 0, 0, 2; track 0 has none.
    np.testing.assert_allclose(found[:, at("artist_liked")], [1 / 3, 1 / 3, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(found[:, at("artist_skipped")], [0, 0, 1 / 3, 0], rtol=1e-6)
    np.testing.assert_allclose(found[:, at("heard_liked")], [1 / 2, 0, 0, 0], rtol=1e-6)


def test_both_forms_give_the_same_scores() -> None:
    catalogue, contexts = made()
    weights = np.random.default_rng(1).normal(size=len(FEATURES))
    pairs = Pairs(contexts, catalogue)
    every = np.tile(np.arange(SIZE, dtype=np.int32), (len(contexts), 1))
    listed = pairs.features(every, catalogue.quality[every])
    np.testing.assert_allclose(pairs.linear_scores(weights), listed.astype(np.float64) @ weights, atol=1e-4)


def test_a_catalogue_without_audio_or_artists_has_zeros_there() -> None:
    catalogue = make_catalogue(SIZE)
    _, contexts = made()
    pairs = Pairs(contexts, catalogue)
    tracks = np.zeros((len(contexts), 1), np.int32)
    found = pairs.features(tracks, np.zeros((len(contexts), 1), np.float32))
    assert not found[:, :, [at(name) for name in PAIR if name.startswith(("audio", "artist"))]].any()
    assert np.isfinite(pairs.linear_scores(np.ones(len(FEATURES)))).all()


def plays_of(catalogue: Catalogue, n: int = 3_000, seed: int = 0) -> Plays:
    """Plays of known response: the logit of a skip is 1 - 6 quality - 4 x product with the liked centroid."""
    rng = np.random.default_rng(seed)
    histories = [[(int(t), int(rng.integers(0, 4))) for t in rng.integers(0, SIZE, size=12)] for _ in range(n)]
    contexts = dataclasses.replace(make_contexts(histories, [6] * n), fold=rng.integers(0, 8, n).astype(np.int8))
    tracks = rng.integers(0, SIZE, n).astype(np.int32)
    quality = catalogue.quality_by_fold[tracks, contexts.fold]
    listed = Pairs(contexts, catalogue).features(tracks[:, None], quality[:, None])[:, 0]
    logits = 1 - 6 * listed[:, at("quality")] - 4 * listed[:, at("liked_all")]
    skipped = rng.random(n) < 1 / (1 + np.exp(-logits))
    return Plays(contexts, tracks, np.where(skipped, 3, 0).astype(np.int8), np.full(n, 0.01))


def policies() -> tuple[list[Ranked], ContextBlock, Plays]:
    catalogue, contexts = made()
    plays = plays_of(catalogue)
    features, skips = training_features(plays, catalogue), plays.skips
    logistic = SkipLogistic(catalogue, fit_logistic(features, skips))
    trees = SkipLightgbm(catalogue, fit_lightgbm(features, skips, seed=1), logistic)
    bandit = Bandit(catalogue, fit_bandit(features, plays.rewards))
    return [logistic, trees, bandit], contexts, plays


def test_the_models_find_the_known_response_and_keep_the_house_rules() -> None:
    found, contexts, plays = policies()
    catalogue = found[0].catalogue
    coefficients = fit_logistic(training_features(plays, catalogue), plays.skips)
    assert coefficients[at("quality")] == pytest.approx(-6, abs=1.2)
    # Liked and skipped centroids say nearly the same, so the weight is shared out between windows.
    assert coefficients[[at(name) for name in CENTROIDS]].sum() == pytest.approx(-4, abs=2)
    every = np.tile(np.arange(SIZE, dtype=np.int32), (len(contexts), 1))
    listed = Pairs(contexts, catalogue).features(every, catalogue.quality[every])
    truth = 6 * listed[:, :, at("quality")] + 4 * listed[:, :, at("liked_all")]
    for policy in found:
        candidates = policy.propose(contexts)
        assert_candidates(candidates, contexts)
        best = np.take_along_axis(candidates.tracks, candidates.scores.argmax(axis=1)[:, None], axis=1)
        gained = np.take_along_axis(truth, best, axis=1).mean() - truth.mean()
        # The best of 50 tracks is about 2.2 deviations above the mean one; trees find half of it in 3,000 plays.
        assert gained > 0.9 * truth.std(axis=1).mean(), policy.name


def test_the_bandit_adds_a_deviation_by_hand() -> None:
    catalogue, contexts = made()
    coefficients, covariance = np.zeros(len(FEATURES)), np.zeros((len(FEATURES), len(FEATURES)))
    coefficients[at("quality")], covariance[at("log_plays"), at("log_plays")] = 1.0, 0.04
    mean = np.zeros(len(FEATURES))
    mean[at("log_plays")] = -0.5
    candidates = Bandit(catalogue, Belief(mean, coefficients, covariance)).propose(contexts)
    tracks = candidates.tracks[0][candidates.tracks[0] >= 0]
    surprise = np.abs(np.log1p(tracks) - np.log1p(24.5) + 0.5)
    expected = catalogue.quality[tracks] + ALPHA * 0.2 * surprise
    np.testing.assert_allclose(candidates.scores[0][candidates.tracks[0] >= 0], expected, atol=2e-5)


def test_answers_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    found, contexts, _ = policies()
    whole = [policy.propose(contexts) for policy in found]
    monkeypatch.setattr("musicbox_lib.policies.ranking.CELLS", SIZE * 3)
    monkeypatch.setattr("musicbox_lib.policies.bandit.ROWS", 2)
    monkeypatch.setattr("musicbox_lib.policies.skip_lightgbm.ROWS", 2)
    for policy, before in zip(found, whole, strict=True):
        after, alone = policy.propose(contexts), policy.propose(contexts.take(slice(7, 8)))
        for name in ("tracks", "scores", "probabilities"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name), err_msg=policy.name)
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(before, name)[7], err_msg=policy.name)


def test_a_log_in_which_everything_was_skipped_gives_no_opinion() -> None:
    catalogue, _ = made()
    features = training_features(plays_of(catalogue, n=50), catalogue)
    assert not fit_logistic(features, np.ones(50, np.int64)).any()


def test_a_users_own_answers_change_no_track_statistic_of_their_rows(spark: SparkSession) -> None:
    """Out of fold by user: a leave-one-out encoding would carry the label (TRAPS 35). Everything is made anew from the
    changed log, in Spark, as a training makes it; only the embeddings stay, which no fold has of its own."""
    rows = listeners(n_users=24, n_tracks=12, seed=5)

    def training_rows(changed: list[dict[str, object]]) -> tuple[Plays, Catalogue]:
        events = frame(spark, "silver.listening_events", changed)
        features = track_features(events, frame(spark, "silver.known_tracks", []), DAY).toPandas()
        embeddings = features[["track_id"]].assign(
            embedding=list(np.eye(12, dtype=np.float32)), neighbours=None, similarities=None
        )
        catalogue = Catalogue.of(features, embeddings)
        plays, _ = sampled_plays(events, catalogue, most_training=10_000, most_validation=0, seed=1)
        return plays, catalogue

    before, catalogue = training_rows(rows)
    fold = before.contexts.fold
    own = str(before.contexts.keys[np.argmax(np.bincount(fold)[fold])])  # of the fold with most plays
    answers = [
        {**row, "skip_grade": 3 - int(str(row["skip_grade"]))} if row["user_id"] == own else dict(row) for row in rows
    ]
    after, changed = training_rows(answers)
    np.testing.assert_array_equal(before.tracks, after.tracks)
    mine = before.contexts.keys == own
    assert mine.sum() == 36
    assert (before.grades[mine] != after.grades[mine]).all()
    of_tracks = [at("quality"), at("log_plays")]
    columns = [training_features(plays, known) for plays, known in ((before, catalogue), (after, changed))]
    np.testing.assert_array_equal(columns[0][mine][:, of_tracks], columns[1][mine][:, of_tracks])
    # It is not that nothing changed: other folds' rows and what serving uses know the new answers.
    others = fold != fold[mine][0]
    assert (columns[0][others][:, at("quality")] != columns[1][others][:, at("quality")]).any()
    assert (catalogue.quality_by_fold[:, OUT_OF_TRAINING] != changed.quality_by_fold[:, OUT_OF_TRAINING]).any()
    # And a leaking encoding, the quality that knows everybody, would have been caught.
    leaking = [known.quality[plays.tracks[mine]] for plays, known in ((before, catalogue), (after, changed))]
    assert (leaking[0] != leaking[1]).any()
