"""The world's file: complete, checked, and its columns really squashed to the marginals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from musicbox_lib.errors import UsageError
from musicbox_lib.synthetic.audio import delivered_tracks, quantile_function
from musicbox_lib.synthetic.context_level import LEVEL_STREAM, context_levels
from musicbox_lib.synthetic.listeners import draw_listeners
from musicbox_lib.synthetic.logging_policy import affinities, policy_probabilities
from musicbox_lib.synthetic.tracks import draw_tracks, unit
from musicbox_lib.synthetic.world import DEFAULT, generator, load_world, noise

# Real values that come in heaps: no monotone curve of this kind through these quartiles within these limits has quite
# their moments.
HEAPED = ("release_year", "key", "us_popularity_estimate")


def changed(folder: Path, **values: object) -> Path:
    path = folder / "world.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(DEFAULT.read_text()), **values}))
    return path


def test_a_changed_file_changes_the_world(tmp_path: Path) -> None:
    world = load_world(changed(tmp_path, streak_weight=0.5))
    assert world.streak_weight == 0.5
    assert world.clusters == load_world().clusters == 40


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"sreak_weight": 1.6}, r"'sreak_weight' \(did you mean streak_weight\?\) is unknown"),
        (
            {"seek_back": {"share": 0.1, "exponent": 2.0, "mots": 9}},
            r"seek_back: 'mots' \(did you mean most\?\) is unknown",
        ),
        ({"seek_back": {"share": 0.1, "exponent": 2.0}}, "seek_back: most missing"),
        ({"audio": 5}, "audio needs a column's name and values"),
        ({"length_share": [1.0, 1.0]}, "length_share must be shares that sum to 1"),
        ({"mood_weight": [5.0]}, "must have 6 numbers"),
        ({"position_effect": [0.0]}, "position_effect must have 20 numbers"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(tmp_path: Path, values: dict[str, object], complaint: str) -> None:
    path = changed(tmp_path, **values)
    with pytest.raises(UsageError, match=complaint) as refusal:
        load_world(path)
    assert str(path) in str(refusal.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no world file"):
        load_world(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", sorted(load_world().audio))
def test_each_column_has_its_real_quartiles_and_moments(name: str) -> None:
    marginal = load_world().audio[name]
    u = (np.arange(200_000) + 0.5) / 200_000
    values = quantile_function(marginal)(u)
    assert (np.diff(values) >= 0).all()
    quartiles = np.quantile(values, [0.25, 0.5, 0.75])
    assert quartiles == pytest.approx([marginal.q25, marginal.q50, marginal.q75], abs=0.03 * marginal.sd)
    loose = 0.35 if name in HEAPED else 0.05
    assert values.mean() == pytest.approx(marginal.mean, abs=loose * marginal.sd)
    assert values.std() == pytest.approx(marginal.sd, rel=loose)


def test_delivered_tracks_have_the_real_marginals() -> None:
    world = load_world()
    rows = delivered_tracks(world, draw_tracks(world, 5_000, seed=8, days=60), seed=8)
    for name, marginal in world.audio.items():
        values = rows[name].to_numpy().astype(np.float64)
        quartiles = np.quantile(values, [0.25, 0.5, 0.75])
        # Rounding to whole numbers moves a quartile by one at most.
        whole = 1.0 if name in ("release_year", "key") else 0.0
        told = [marginal.q25, marginal.q50, marginal.q75]
        assert quartiles == pytest.approx(told, abs=0.03 * marginal.sd + whole), name
        loose = 0.35 if name in HEAPED else 0.05
        assert values.mean() == pytest.approx(marginal.mean, abs=loose * marginal.sd), name
        assert values.std() == pytest.approx(marginal.sd, rel=loose), name
        assert marginal.min <= values.min(), name
        assert values.max() <= marginal.max, name
    assert rows["mode"].to_numpy().mean() == pytest.approx(world.major_share, abs=0.03)
    beats = rows["time_signature"].to_numpy()
    assert beats.mean() == pytest.approx(3.949, abs=0.03)
    assert beats.std() == pytest.approx(0.337, abs=0.06)


def test_tracks_of_a_cluster_sound_alike() -> None:
    world = load_world()
    tracks = draw_tracks(world, 1000, seed=4, days=60)
    rows = delivered_tracks(world, tracks, seed=4)
    acoustic = np.column_stack([rows[f"acoustic_vector_{i}"].to_numpy() for i in range(8)])
    within = np.mean([acoustic[tracks.cluster == c].var(axis=0).sum() for c in np.unique(tracks.cluster)])
    assert within < 0.6 * acoustic.var(axis=0).sum()
    assert np.linalg.norm(tracks.place, axis=1) == pytest.approx(np.ones(1000), abs=1e-5)
    assert len(set(tracks.ids)) == 1000


def test_better_tracks_are_a_little_more_popular() -> None:
    tracks = draw_tracks(load_world(), 5000, seed=5, days=60)
    ranks = np.argsort(np.argsort(tracks.popularity))
    assert np.corrcoef(ranks, tracks.quality)[0, 1] == pytest.approx(0.29, abs=0.06)


@pytest.mark.parametrize("name", ["default", "unlogged_cluster", "cold_tracks"])
def test_a_contexts_level_is_its_effect_and_what_the_policy_gains_there(name: str) -> None:
    world = load_world(name)
    tracks = draw_tracks(world, 200, seed=6, days=60)
    listeners = draw_listeners(world, tracks, 2**31 - 1, 1000, seed=6)
    around = noise(generator(6, LEVEL_STREAM), world.mood_spread, 1000, world.dimension)
    affinity = affinities(unit(listeners.taste + around), tracks)
    gain = world.affinity_weight * (affinity - world.affinity_centre) + tracks.quality
    newest = np.full(1000, len(tracks.releases) - 1)
    for context, level in enumerate(context_levels(world, tracks, seed=6)):
        chances = policy_probabilities(world, tracks, affinity, np.full(1000, context), newest)
        expected = world.context_effect[context] + (chances * gain).sum(axis=1).mean()
        assert level == pytest.approx(expected, abs=1e-5)


def test_too_few_tracks_for_the_pool_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 50 tracks"):
        draw_tracks(load_world(), 49, seed=1, days=60)
