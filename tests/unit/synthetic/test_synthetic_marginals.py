"""The generated log against the real log's marginals, on seeds that the calibration did not use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from musicbox_lib.settings import settings
from musicbox_lib.synthetic import calibration as real
from musicbox_lib.synthetic.calibration import Plays, simulate
from musicbox_lib.synthetic.landing_files import as_rows
from musicbox_lib.synthetic.listeners import draw_listeners
from musicbox_lib.synthetic.logging_draws import PolicyDraws
from musicbox_lib.synthetic.plays import play_sessions
from musicbox_lib.synthetic.sessions import plan_sessions
from musicbox_lib.synthetic.tracks import draw_tracks
from musicbox_lib.synthetic.world import World, load_world

PREMIUM_SHARE, SHUFFLE, SWITCH, AGREES = 0.803, 0.309, 0.041, 0.74
LENGTHS = {
    **{10: 0.0819, 11: 0.0752, 12: 0.0646, 13: 0.0547, 14: 0.0459, 15: 0.0435, 16: 0.0339, 17: 0.0320, 18: 0.0303},
    **{19: 0.0314, 20: 0.5066},
}
# Share of plays of the most played of 50,704 tracks.
TOP = 0.0085
# Real skip_2 beyond position 10.
LATER = (0.508, 0.546)


def graded(plays: Plays) -> dict[str, float]:
    return {
        "skip_1": (plays.grade == 3).mean(),
        "skip_2": (plays.grade >= 2).mean(),
        "skip_3": (plays.grade >= 1).mean(),
        "not_skipped": (plays.grade == 0).mean(),
    }


REAL_GRADED = {"skip_1": real.SKIP_1, "skip_2": real.SKIP_2, "skip_3": real.SKIP_3, "not_skipped": real.NOT_SKIPPED}


def agreement(plays: Plays) -> float:
    """Share of pairs of plays in a row that agree in skip_2."""
    skipped = plays.grade >= 2
    return float((skipped[1:] == skipped[:-1])[~plays.first[1:]].mean())


@pytest.fixture(scope="module")
def world() -> World:
    return load_world()


def test_a_small_world_is_near_the_real_log(world: World) -> None:
    # 200 users: users differ by a deviation of 1.4 logits, so the overall share has one of .02.
    plays = simulate(world, users=200, tracks=2000, seeds=[41, 42])
    assert graded(plays) == pytest.approx(REAL_GRADED, abs=0.06)
    skipped = plays.grade >= 2
    by_position = plays.shares(skipped, plays.position - 1, 20)
    assert by_position[:10] == pytest.approx(real.BY_POSITION[:10], abs=0.08)
    assert by_position[0] < by_position[1:].min()
    assert agreement(plays) == pytest.approx(AGREES, abs=0.03)
    assert plays.shuffle.mean() == pytest.approx(SHUFFLE, abs=0.04)
    assert plays.switched.mean() == pytest.approx(SWITCH, abs=0.006)
    assert plays.premium[plays.first].mean() == pytest.approx(PREMIUM_SHARE, abs=0.06)


@pytest.mark.slow
def test_a_large_world_is_within_every_tolerance(world: World) -> None:
    """The tolerances are those of docs/method.md#the-generated-world; 1.3 million plays of 4 worlds leave a deviation
    of .002 overall and .007 in the rarest context."""
    plays = simulate(world, users=5000, tracks=2000, seeds=[201, 202, 203, 204])
    skipped = plays.grade >= 2
    assert graded(plays) == pytest.approx(REAL_GRADED, abs=0.01)
    by_position = plays.shares(skipped, plays.position - 1, 20)
    assert by_position[:10] == pytest.approx(real.BY_POSITION[:10], abs=0.02)
    assert by_position[10:].min() > LATER[0] - 0.02
    assert by_position[10:].max() < LATER[1] + 0.02
    by_context = dict(zip(world.contexts, plays.shares(skipped, plays.context, 6).tolist(), strict=True))
    assert by_context == pytest.approx(real.BY_CONTEXT, abs=0.02)
    assert skipped[plays.premium].mean() == pytest.approx(real.PREMIUM, abs=0.015)
    assert skipped[~plays.premium].mean() == pytest.approx(real.FREE, abs=0.015)
    assert plays.premium[plays.first].mean() == pytest.approx(PREMIUM_SHARE, abs=0.01)
    assert plays.shuffle.mean() == pytest.approx(SHUFFLE, abs=0.01)
    assert plays.switched.mean() == pytest.approx(SWITCH, abs=0.003)
    lengths = np.bincount(plays.length[plays.first], minlength=21)[10:] / plays.first.sum()
    assert lengths == pytest.approx(list(LENGTHS.values()), abs=0.01)
    assert agreement(plays) == pytest.approx(AGREES, abs=0.02)


@pytest.mark.slow
def test_the_top_track_of_a_full_catalogue(world: World) -> None:
    # Its share hangs on its quality and place only through who plays it: .68 to .93 % in six worlds.
    shares = []
    for seed in (201, 202, 203, 204):
        plays = simulate(world, users=1500, tracks=50_704, seeds=[seed])
        shares.append(np.bincount(plays.track).max() / len(plays.track))
    assert np.mean(shares) == pytest.approx(TOP, abs=0.0015)


@pytest.fixture(scope="module")
def delivered(world: World) -> pd.DataFrame:
    """170,000 plays as delivered, as many as the real mini set has."""
    tracks = draw_tracks(world, 500, 205, 60)
    listeners = draw_listeners(world, tracks, 0, 2_500, 205)
    plan = plan_sessions(world, listeners, 60, 205)
    levels = np.zeros(len(world.contexts))
    played = play_sessions(world, tracks, PolicyDraws(world, tracks), listeners, plan, levels, 205)
    day = np.datetime64("2026-09-07")
    rows, _ = as_rows(world, listeners, plan, played, pa.array(tracks.ids), day, 205)
    return pd.DataFrame(rows.to_pandas())


@pytest.mark.parametrize(
    ("column", "mean", "sd", "most"),
    [("hist_user_behavior_n_seekfwd", 0.039, 0.367, 60), ("hist_user_behavior_n_seekback", 0.046, 0.607, 151)],
)
def test_seeks_are_mostly_none_and_sometimes_many(
    delivered: pd.DataFrame, column: str, mean: float, sd: float, most: int
) -> None:
    seeks = delivered[column]
    assert seeks.mean() == pytest.approx(mean, abs=0.004)
    assert (seeks == 0).mean() > 0.96
    # Of a tail this heavy even 170,000 plays give the deviation to a factor only.
    assert sd / 2.5 < seeks.std() < sd * 2.5
    assert most / 6 < seeks.max() <= most


def test_hours_contexts_and_pauses_are_the_real_ones(delivered: pd.DataFrame, world: World) -> None:
    assert delivered.hour_of_day.mean() == pytest.approx(14.19, abs=0.3)
    assert delivered.hour_of_day.std() == pytest.approx(6.0, abs=0.3)
    contexts = delivered.context_type.value_counts(normalize=True).to_dict()
    assert contexts == pytest.approx(dict(zip(world.contexts, world.context_share, strict=True)), abs=0.01)
    for name, share in (("no", 0.768), ("short", 0.147), ("long", 0.173)):
        assert delivered[f"{name}_pause_before_play"].mean() == pytest.approx(share, abs=0.02)


MARGINALS = "track_feature_marginals.txt"


def real_marginals(text: str) -> dict[str, dict[str, float]]:
    """The tables that pandas printed one below the other, as column -> statistic -> value."""
    found: dict[str, dict[str, float]] = {}
    columns: list[str] = []
    for line in text.splitlines():
        words = line.removesuffix("\\").split()
        if not words or words[0] == "##":
            continue
        if words[0] in {"count", "mean", "std", "min", "25%", "50%", "75%", "max"} and len(words) == len(columns) + 1:
            for column, value in zip(columns, words[1:], strict=True):
                found.setdefault(column, {})[words[0]] = float(value)
        else:
            columns = words
    return found


@pytest.mark.mssd
def test_the_worlds_file_holds_the_real_marginals(world: World) -> None:
    real_columns = real_marginals((settings().mssd_log.parent / MARGINALS).read_text())
    assert len(real_columns) > 40
    for name, marginal in world.audio.items():
        row = real_columns[name]
        told = [marginal.mean, marginal.sd, marginal.min, marginal.q25, marginal.q50, marginal.q75, marginal.max]
        real_row = [row[at] for at in ("mean", "std", "min", "25%", "50%", "75%", "max")]
        assert told == pytest.approx(real_row, rel=1e-4, abs=1e-9), name
    assert world.major_share == pytest.approx(real_columns["mode"]["mean"], abs=1e-3)
    beats = np.array(world.time_signatures) @ np.array(world.time_signature_share)
    assert beats == pytest.approx(real_columns["time_signature"]["mean"], abs=0.01)
    for name, mean in (("skip_1", real.SKIP_1), ("skip_2", real.SKIP_2), ("not_skipped", real.NOT_SKIPPED)):
        assert mean == pytest.approx(real_columns[name]["mean"], abs=1e-4)


def test_the_threshold_gives_the_share() -> None:
    eta = np.random.default_rng(3).normal(size=20_000)
    t = real.threshold(eta, 0.3)
    assert (1 / (1 + np.exp(t - eta))).mean() == pytest.approx(0.3, abs=1e-6)


def test_calibration_finds_its_way_from_a_wrong_start() -> None:
    from dataclasses import replace

    wrong = replace(load_world(), base_level=1.0, position_effect=(0.0,) * 20, context_effect=(0.0,) * 6)
    mended = real.calibrate(wrong, users=300, tracks=100, seeds=[51], rounds=6)
    plays = simulate(mended, users=300, tracks=100, seeds=[51])
    chances = 1 / (1 + np.exp(-plays.eta))
    assert chances.mean() == pytest.approx(real.SKIP_2, abs=0.01)
    assert plays.shares(chances, plays.position - 1, 20)[:10] == pytest.approx(real.BY_POSITION[:10], abs=0.03)
