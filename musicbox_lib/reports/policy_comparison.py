"""`reports.policy_comparison`: the champion less each other policy, on the same plays and the same bootstrap draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from musicbox_lib.evaluation.contenders import CHAMPION, LOGGED, SEGMENTS
from musicbox_lib.evaluation.counterfactual import Judged
from musicbox_lib.evaluation.estimators import Evidence, Interval, Measure, difference, difference_from_log
from musicbox_lib.evaluation.logged import Logged
from musicbox_lib.evaluation.night import Night
from musicbox_lib.evaluation.rank_measures import MEASURES as RANK_MEASURES
from musicbox_lib.evaluation.rank_measures import rank_differences

MEASURES: dict[str, Measure] = {"skip_rate_dr": "dr", "skip_rate_snips": "snips", "skip_rate_dr_clipped": "dr_clipped"}
_WORST_FIRST: tuple[Evidence, ...] = (
    "no_history",
    "no_propensity",
    "no_liked_play",
    "no_support",
    "low_ess",
    "ok",
)
Held = tuple[str, int, Evidence, Interval | None]


def rows(night: Night) -> list[dict[str, Any]]:
    """The rows of the table: a difference only where both sides have evidence. Against `logged` the champion is held
    against the skip rate of the very plays that were weighed; the log has no ranks."""
    return [
        {
            "dt": night.day,
            "policy": CHAMPION,
            "versus": versus,
            "segment": name,
            "measure": measure,
            "difference": interval.value if interval else None,
            "lo": interval.lo if interval else None,
            "hi": interval.hi if interval else None,
            "n": n,
            "evidence": evidence,
        }
        for name in SEGMENTS
        if (of_log := night.segment(name)) is not None
        for versus in (LOGGED, *(other for other in night.names if other != CHAMPION))
        for measure, n, evidence, interval in _held_against(night, of_log, versus)
    ]


def _held_against(night: Night, of_log: Logged, versus: str) -> Iterator[Held]:
    champion = night.policies.get((CHAMPION, of_log.segment))
    other = night.policies.get((versus, of_log.segment))
    if champion is None or (other is None and versus != LOGGED):
        absent = CHAMPION if champion is None else versus
        for measure in (*MEASURES, *(RANK_MEASURES if versus != LOGGED else ())):
            yield measure, of_log.n, night.absent.get(absent, "no_history"), None
        return
    n = champion.sums.plays or of_log.n
    for measure, estimator in MEASURES.items():
        if versus == LOGGED:
            yield measure, n, champion.sums.evidence, difference_from_log(champion.sums, estimator)
        elif other is not None:
            yield measure, n, _worst(champion, other), difference(champion.sums, other.sums, estimator)
    if versus != LOGGED and other is not None:
        found = rank_differences(champion.ranks, other.ranks)
        for measure in RANK_MEASURES:
            evidence: Evidence = "ok" if measure in found else "no_liked_play"
            yield measure, champion.ranks.plays, evidence, found.get(measure)


def _worst(one: Judged, other: Judged) -> Evidence:
    return min(one.sums.evidence, other.sums.evidence, key=_WORST_FIRST.index)
