"""`reports.policy_evaluation`: every measure of every policy on one night's plays, one row each."""

from __future__ import annotations

from typing import Any

from musicbox_lib.evaluation.contenders import SEGMENTS
from musicbox_lib.evaluation.estimators import RATIOS, Evidence, Interval, estimate
from musicbox_lib.evaluation.logged import Logged
from musicbox_lib.evaluation.night import Night
from musicbox_lib.evaluation.rank_measures import MEASURES, rank_measures


def rows(night: Night) -> list[dict[str, Any]]:
    """The rows of the table: the estimators `skip_rate_dm` to `skip_rate_dr_clipped`, then the ranking measures. A row
    without evidence is there too, without a number."""
    found = []
    for policy in night.names:
        for name in SEGMENTS:
            of_log = night.segment(name)
            if of_log is not None:
                found += _rows(night, policy, of_log)
    return found


def _rows(night: Night, policy: str, of_log: Logged) -> list[dict[str, Any]]:
    own = night.policies.get((policy, of_log.segment))
    if own is None:
        why = night.absent.get(policy, "no_history")
        names = [*(f"skip_rate_{measure}" for measure in RATIOS), *MEASURES]
        return [_row(night, policy, of_log, name, None, of_log.n, of_log.n_users, None, why) for name in names]
    weighed, ranked = estimate(own.sums), rank_measures(own.ranks)
    return [
        *(
            _row(
                *(night, policy, of_log, f"skip_rate_{measure}", weighed.intervals.get(measure)),
                *(weighed.n, weighed.n_users, weighed.ess, weighed.evidence),
            )
            for measure in RATIOS
        ),
        *(
            _row(
                *(night, policy, of_log, name, ranked.get(name), own.ranks.plays, own.ranks.users, None),
                "ok" if own.ranks.plays else "no_liked_play",
            )
            for name in MEASURES
        ),
    ]


def _row(
    night: Night,
    policy: str,
    of_log: Logged,
    measure: str,
    found: Interval | None,
    n: int,
    n_users: int,
    ess: float | None,
    evidence: Evidence,
) -> dict[str, Any]:
    return {
        "dt": night.day,
        "policy": policy,
        "segment": of_log.segment,
        "measure": measure,
        "value": found.value if found else None,
        "lo": found.lo if found else None,
        "hi": found.hi if found else None,
        "n": n,
        "n_users": n_users,
        "ess": ess,
        "evidence": evidence,
    }
