"""`reports.skip_rate`: how often tracks are skipped, as logged and as each policy would have had it."""

from __future__ import annotations

from typing import Any

from musicbox_lib.evaluation.contenders import LOGGED, SEGMENTS
from musicbox_lib.evaluation.estimators import Interval, estimate
from musicbox_lib.evaluation.legacy import Legacy
from musicbox_lib.evaluation.logged import Logged
from musicbox_lib.evaluation.night import Night


def rows(night: Night) -> list[dict[str, Any]]:
    """The rows of `reports.skip_rate`: the log in every segment, each policy in `SEGMENTS`."""
    found = [_logged_row(night, one) for one in night.logged]
    for policy in night.names:
        for name in SEGMENTS:
            of_log = night.segment(name)
            if of_log is not None:
                found.append(_policy_row(night, policy, of_log))
    return found


def _logged_row(night: Night, one: Logged) -> dict[str, Any]:
    own = night.policies.get((LOGGED, one.segment))
    return {
        "dt": night.day,
        "policy": LOGGED,
        "segment": one.segment,
        "n": one.n,
        "n_users": one.n_users,
        "skip_1_logged": one.skip_1,
        **_with_interval("skip_rate_logged", one.skip),
        "skip_3_logged": one.skip_3,
        "not_skipped_logged": one.not_skipped,
        "evidence": "ok",
        **_legacy(own.legacy if own else None),
    }


def _policy_row(night: Night, policy: str, of_log: Logged) -> dict[str, Any]:
    row: dict[str, Any] = {"dt": night.day, "policy": policy, "segment": of_log.segment}
    own = night.policies.get((policy, of_log.segment))
    if own is None:
        why = night.absent.get(policy, "no_history")
        return {**row, "n": of_log.n, "n_users": of_log.n_users, "evidence": why}
    if not own.sums.plays:
        row |= {"n": of_log.n, "n_users": of_log.n_users, "evidence": "no_propensity"}
        return row | _legacy(own.legacy)
    found = estimate(own.sums)
    return {
        **row,
        "n": found.n,
        "n_users": found.n_users,
        "skip_rate_predicted": found.intervals["dm"].value if found.intervals else None,
        **_with_interval("skip_rate_dr", found.intervals.get("dr")),
        **_with_interval("skip_rate_snips", found.intervals.get("snips")),
        "ess": found.ess,
        "evidence": found.evidence,
        **_legacy(own.legacy),
    }


def _with_interval(name: str, interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {name: None, f"{name}_lo": None, f"{name}_hi": None}
    return {name: interval.value, f"{name}_lo": interval.lo, f"{name}_hi": interval.hi}


def _legacy(counted: Legacy | None) -> dict[str, Any]:
    if counted is None:
        return {}
    return {
        "legacy_skip_rate": counted.skip_rate,
        "legacy_match_rate": counted.match_rate,
        "legacy_matched": counted.matched,
    }
