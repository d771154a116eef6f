"""`reports.policy_comparison`: the champion less each other policy, on the same plays and the same bootstrap draws."""

from __future__ import annotations

from typing import Any

from musicbox_lib.evaluation.estimators import Evidence, Interval, Measure, difference, difference_from_log
from musicbox_lib.reports.contenders import BASELINES, CHAMPION
from musicbox_lib.reports.counterfactual import LOGGED, SEGMENTS
from musicbox_lib.reports.logged import Logged
from musicbox_lib.reports.skip_rate import Night

MEASURES: dict[str, Measure] = {"skip_rate_dr": "dr", "skip_rate_snips": "snips"}
_WORST_FIRST: tuple[Evidence, ...] = ("no_history", "no_propensity", "low_ess", "ok")


def rows(night: Night) -> list[dict[str, Any]]:
    """The rows of the table: a difference only where both sides have evidence. Against `logged` the champion is held
    against the skip rate of the very plays that were weighed."""
    found = []
    for name in SEGMENTS:
        of_log = night.segment(name)
        if of_log is None:
            continue
        for versus in (LOGGED, *BASELINES):
            for column, measure in MEASURES.items():
                n, evidence, interval = _held_against(night, of_log, versus, measure)
                found.append(
                    {
                        "dt": night.day,
                        "policy": CHAMPION,
                        "versus": versus,
                        "segment": name,
                        "measure": column,
                        "difference": interval.value if interval else None,
                        "lo": interval.lo if interval else None,
                        "hi": interval.hi if interval else None,
                        "n": n,
                        "evidence": evidence,
                    }
                )
    return found


def _held_against(night: Night, of_log: Logged, versus: str, measure: Measure) -> tuple[int, Evidence, Interval | None]:
    champion = night.policies.get((CHAMPION, of_log.segment))
    if champion is None:
        return of_log.n, night.absent.get(CHAMPION, "no_history"), None
    n = champion.sums.plays or of_log.n
    if versus == LOGGED:
        return n, champion.sums.evidence, difference_from_log(champion.sums, measure)
    other = night.policies[(versus, of_log.segment)]
    worst = min(champion.sums.evidence, other.sums.evidence, key=_WORST_FIRST.index)
    return n, worst, difference(champion.sums, other.sums, measure)
