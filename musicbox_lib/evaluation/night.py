"""One night's plays, and every policy judged on them from what was known the day before."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.errors import DataRefused
from musicbox_lib.evaluation.contenders import CHAMPION, LOGGED
from musicbox_lib.evaluation.counterfactual import Judged, Rivals, as_judgeable, judged
from musicbox_lib.evaluation.estimators import DRAWS, Evidence
from musicbox_lib.evaluation.logged import Logged, logged
from musicbox_lib.policies import listed
from musicbox_lib.sessions.contexts import as_contexts
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from musicbox_lib.models.champion import Champion
    from musicbox_lib.models.fitted_baselines import Baselines

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Night:
    """All that a night's plays say: the log's own segments, and each policy's by (policy, segment).

    A policy without an entry could not be judged: `absent` says why.
    """

    day: dt.date
    logged: list[Logged]
    policies: Mapping[tuple[str, str], Judged]
    absent: Mapping[str, Evidence]

    @property
    def names(self) -> tuple[str, ...]:
        """The policies, judged or not: ours, then the baselines."""
        judged = dict.fromkeys(policy for policy, _ in self.policies if policy != LOGGED)
        return tuple(dict.fromkeys((CHAMPION, *judged, *self.absent)))

    def segment(self, name: str) -> Logged | None:
        """The log's own segment; None where nobody played in it."""
        return next((one for one in self.logged if one.segment == name), None)


def judge_night(
    listening_events: DataFrame,
    track_features: pd.DataFrame,
    track_embeddings: pd.DataFrame,
    champion: Champion | None,
    fitted: Baselines | None,
    day: dt.date,
) -> Night:
    """Judge every policy on the plays of `day`, from what was known the day before.

    `listening_events`: silver up to `day`. `track_features`, `track_embeddings`: gold of one day before `day`, empty
    where there is none yet. `champion`, `fitted`: those as of the day before, None where there are none. Raises
    DataRefused where the day has no labelled play.
    """
    of_day = listening_events.where(listening_events.dt == day)
    segments = logged(of_day)
    if not segments:
        raise DataRefused(f"silver.listening_events has no labelled play on {day}: land that day's log first.")
    if track_features.empty or track_embeddings.empty:
        baselines = (policy.name for policy in listed.baselines())
        log.info("no gold tables before %s: nothing but the log can be reported", day)
        return Night(day, segments, {}, dict.fromkeys((CHAMPION, *baselines), "no_history"))
    catalogue = Catalogue.of(track_features, track_embeddings)
    everything = segments[0]
    rivals = Rivals(
        catalogue=catalogue,
        track_rates=_rates(track_features, catalogue),
        overall=_overall(track_features),
        champion=champion,
        fitted=fitted,
        seed=settings().seed,
        draws=DRAWS,
    )
    most = settings().report_contexts
    liked = round(everything.not_skipped * everything.n)
    contexts = (
        listening_events.join(of_day.select("user_id").distinct(), "user_id", "leftsemi")
        .transform(as_contexts)
        .where(f"dt = '{day}'")
        .transform(
            as_judgeable,
            play_share=min(1.0, most / max(everything.n_weighable, 1)),
            liked_share=min(1.0, most / max(liked, 1)),
            session_share=min(1.0, most / everything.n_sessions),
            seed=settings().seed,
        )
    )
    n_contexts = sum(int(min(most, n)) for n in (everything.n_weighable, liked, everything.n_sessions))
    absent: dict[str, Evidence] = {} if champion is not None else {CHAMPION: "no_history"}
    # A policy that was registered after the last training is not among the fitted ones yet.
    known = () if fitted is None else fitted.policies
    absent |= {policy.name: "no_history" for policy in listed.of_plays() if policy not in known}
    return Night(day, segments, judged(contexts, rivals, n_contexts), absent)


def _rates(features: pd.DataFrame, catalogue: Catalogue) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Shrunk skip rates by catalogue position."""
    by_id = features.set_index("track_id")["skip_rate_shrunk"]
    return by_id.reindex(catalogue.track_ids.tolist()).to_numpy(dtype=np.float64)


def _overall(features: pd.DataFrame) -> float:
    """The skip rate of all labelled plays up to that night; one half where there are none."""
    labelled = features["labelled_plays"].fillna(0).to_numpy(dtype=np.float64)
    skips = features["skip_rate"].fillna(0).to_numpy(dtype=np.float64) * labelled
    return float(skips.sum() / labelled.sum()) if labelled.sum() else 0.5
