"""A world: every number that the generated tracks, listeners and answers are made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from musicbox_lib.errors import UsageError, unknown_words
from musicbox_lib.synthetic.worlds import FOLDER, names

DEFAULT = FOLDER / "default.yaml"
# The day on which a track came that was always there.
ALWAYS = -(2**31)

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Marginal:
    """What a real column looks like: mean, deviation, least, quartiles, most."""

    mean: float
    sd: float
    min: float
    q25: float
    q50: float
    q75: float
    max: float


@dataclass(frozen=True)
class Seeks:
    """Zero-inflated seeks: the share of plays with any, the zeta exponent of how many, the most ever."""

    share: float
    exponent: float
    most: int


@dataclass(frozen=True)
class World:
    """A generated world. Lists by context follow `contexts`; lists by position start at position 1.

    The chance of a skip is `sigmoid(eta)`, with

        eta = base_level + user level + session level + context + hour + premium + position
              - affinity_weight (<mood, track> - affinity_centre) - quality
              + streak_weight * streak + fatigue_weight * fatigue[cluster] + repeat_weight * repeat - novelty
    """

    name: str
    # Tracks
    dimension: int
    clusters: int
    tracks_per_artist: int
    artist_spread: float
    """Root mean square distance of an artist from its cluster's centre: .35 on each of 16 coordinates would drown the
    clusters (an oracle's slates then differ by .66, as 1 - cosine, where the prototype had .32; so they do by .44)."""
    track_spread: float
    """The same of a track from its artist."""
    quality_sd: float
    popularity_offset: float
    popularity_power: float
    """Popularity is proportional to (rank + offset) ** -power."""
    popularity_quality: float
    """Correlation of the (normal) score behind the popularity rank with quality."""
    cold_share: float
    """Share of tracks that are delivered, and playable, only from a later day on."""
    cold_from: float
    """That day, as a share of the days generated: .5 of 60 days is day 30, counted from 0."""
    # Listeners
    taste_concentration: float
    """Dirichlet concentration of a taste over the cluster centres: small is few clusters."""
    taste_spread: float
    mood_spread: float
    """The same of a session's mood from the listener's taste."""
    user_level_sd: float
    session_level_sd: float
    novelty_sd: float
    """Deviation of the liking for unpopular tracks, in logits per deviation of -log popularity."""
    premium_share: float
    mean_sessions: float
    """Sessions per listener are 1 + a geometric number, with this mean."""
    drift_share: float
    """Share of listeners who have another taste, drawn as the first was, in sessions from a later day on."""
    drift_from: float
    """That day, as a share of the days generated."""
    # Sessions
    contexts: tuple[str, ...]
    context_share: tuple[float, ...]
    shuffle_by_context: tuple[float, ...]
    context_switch_rate: float
    hour_share: tuple[float, ...]
    hour_advance_rate: float
    lengths: tuple[int, ...]
    length_share: tuple[float, ...]
    late_share: float
    late_mean_days: float
    # The answer
    affinity_weight: float
    affinity_centre: float
    streak_weight: float
    streak_decay: float
    """streak <- decay * streak + (1 - decay) (skip_2 - 1/2), 0 at the start of a session."""
    fatigue_weight: float
    fatigue_decay: float
    """fatigue <- decay * fatigue, then 1 more for the cluster just played; 0 at the start of a session."""
    repeat_weight: float
    hour_amplitude: float
    hour_peak: float
    """The hour's effect is amplitude * cos(2 pi (hour - peak) / 24)."""
    # The logging policy
    explore_share: float
    popularity_weight: tuple[float, ...]
    mood_weight: tuple[float, ...]
    unlogged_clusters: int
    """Clusters, the first so many, that the policy never plays, not even exploring: their propensity is 0."""
    uniform_share: float
    """Share of sessions that show a pool of tracks uniformly."""
    uniform_pool: int
    # Calibrated
    base_level: float
    premium_effect: float
    context_effect: tuple[float, ...]
    """Against what the logging policy delivers there in this very world (see `context_level`)."""
    position_effect: tuple[float, ...]
    skip_1_above: float
    skip_3_above: float
    not_skipped_below: float
    # Details of the log
    seek_forward: Seeks
    seek_back: Seeks
    end_reasons: tuple[str, ...]
    end_share: tuple[tuple[float, ...], ...]
    start_after: tuple[str, ...]
    first_reasons: tuple[str, ...]
    first_share: tuple[float, ...]
    pause_share: tuple[tuple[float, ...], ...]
    # Audio
    acoustic_noise: float
    audio_noise: float
    major_share: float
    time_signatures: tuple[int, ...]
    time_signature_share: tuple[float, ...]
    audio: dict[str, Marginal]

    @property
    def longest(self) -> int:
        """Plays of the longest session."""
        return max(self.lengths)

    def drift_day(self, days: int) -> int:
        """The first day of the new tastes, counted from 0."""
        return round(self.drift_from * days)

    def cold_day(self, days: int) -> int:
        """The day on which the cold tracks come, counted from 0."""
        return round(self.cold_from * days)

    def hour_effect(self, hour: Ints) -> Floats:
        """Logits of the hour of the day, (n,) -> (n,)."""
        return np.asarray(self.hour_amplitude * np.cos(2 * np.pi * (hour - self.hour_peak) / 24), np.float64)

    def as_dict(self) -> dict[str, Any]:
        """The world as plain values, as its file holds them."""
        return asdict(self)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value


def from_dict(raw: dict[str, Any], where: str) -> World:
    """The world of those values; raises UsageError for a missing or unknown name, shares that do not sum to 1,
    or lists of the wrong length."""
    _refuse_other_names(raw, World, where)
    if not isinstance(raw["audio"], dict):
        raise UsageError(f"{where}: audio needs a column's name and values each, as worlds/default.yaml has.")
    for name, marginal in raw["audio"].items():
        _refuse_other_names(marginal, Marginal, f"{where}: audio: {name}")
    for name in ("seek_forward", "seek_back"):
        _refuse_other_names(raw[name], Seeks, f"{where}: {name}")
    values = {name: _frozen(value) for name, value in raw.items()}
    values["audio"] = {name: Marginal(**marginal) for name, marginal in raw["audio"].items()}
    values["seek_forward"], values["seek_back"] = Seeks(**raw["seek_forward"]), Seeks(**raw["seek_back"])
    world = World(**values)
    _check(world, where)
    return world


def _refuse_other_names(raw: Any, kind: type, where: str) -> None:
    if not isinstance(raw, dict):
        raise UsageError(f"{where} is {raw!r}: it needs names and values, as worlds/default.yaml has.")
    known = [field.name for field in fields(kind)]
    if odd := unknown_words(raw, known):
        raise UsageError(f"{where}: {odd} is unknown: name only what a world has, see worlds/default.yaml.")
    if missing := [name for name in known if name not in raw]:
        raise UsageError(f"{where}: {', '.join(missing)} missing: give each a value, as worlds/default.yaml does.")


def _check(world: World, where: str) -> None:
    shares = {
        "context_share": world.context_share,
        "hour_share": world.hour_share,
        "length_share": world.length_share,
        "first_share": world.first_share,
        "time_signature_share": world.time_signature_share,
        **{f"end_share[{i}]": share for i, share in enumerate(world.end_share)},
        **{f"pause_share[{i}]": share for i, share in enumerate(world.pause_share)},
    }
    for name, share in shares.items():
        if min(share) < 0 or abs(sum(share) - 1) > 0.02:
            raise UsageError(f"{where}: {name} must be shares that sum to 1, it sums to {sum(share):.4f}.")
    fractions = (world.cold_share, world.cold_from, world.drift_share, world.drift_from, world.explore_share)
    if min(fractions) < 0 or max(fractions) > 1:
        raise UsageError(f"{where}: cold_share, cold_from, drift_share, drift_from and explore_share must be 0 to 1.")
    if not 0 <= world.unlogged_clusters < world.clusters:
        raise UsageError(f"{where}: unlogged_clusters must be 0 to {world.clusters - 1}: some track must be played.")
    by_context = (world.context_share, world.shuffle_by_context, world.popularity_weight, world.mood_weight)
    if any(len(part) != len(world.contexts) for part in (*by_context, world.context_effect)):
        raise UsageError(f"{where}: every list by context must have {len(world.contexts)} numbers, as contexts has.")
    if len(world.position_effect) < world.longest:
        raise UsageError(f"{where}: position_effect must have {world.longest} numbers, one per position.")


def load_world(name: str | Path = "default") -> World:
    """The world of that name (`worlds/NAME.yaml`) or in that YAML file. A file may say `based_on: default`, or
    another name, and then only what differs. Raises UsageError for an unknown name and for a file that is none."""
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"} and len(path.parts) == 1:
        if str(name) not in names():
            raise UsageError(f"there is no world {str(name)!r}: name one of {', '.join(names())}, or a YAML file.")
        path = FOLDER / f"{name}.yaml"
    return from_dict(_raw(path, ()), str(path))


def _raw(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The file's values over those of the world that it is based on."""
    if not path.is_file():
        raise UsageError(f"there is no world file {path}: leave --world out for the default world.")
    try:
        raw = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from None
    if not isinstance(raw, dict):
        raise UsageError(f"{path} is no world file: it needs names and values, as worlds/default.yaml has.")
    base = raw.pop("based_on", None)
    if base is None:
        return raw
    if base not in names():
        raise UsageError(f"{path}: based_on is {base!r}: it must be one of {', '.join(names())}.")
    under = FOLDER / f"{base}.yaml"
    if under in above or under == path:
        raise UsageError(f"{path}: based_on goes round in a circle through {base}.")
    return {**_raw(under, (*above, path)), **raw}


def shares(values: tuple[float, ...]) -> Floats:
    """Shares that sum to exactly 1."""
    array = np.asarray(values, np.float64)
    return np.asarray(array / array.sum(), np.float64)


def generator(seed: int, *stream: int) -> np.random.Generator:
    """The random numbers of one stream of a seed: streams never share numbers, whatever the order of work."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=stream))


def noise(random: np.random.Generator, spread: float, n: int, dimension: int) -> Floats:
    """Noise vectors (n, dimension) of root mean square length `spread`."""
    return random.normal(0, spread / np.sqrt(dimension), (n, dimension))
