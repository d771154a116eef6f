"""Two small nights with a row for every question an analyst asks: every table of the contract that
`docs/questions.sql` or a view reads, with the values that two engines most easily tell differently."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

from small_night import write

from musicbox_lib.contract.tables import table

BEFORE, NIGHT = dt.date(2026, 11, 4), dt.date(2026, 11, 5)
NIGHTS = (BEFORE, NIGHT)
USERS = [f"u{number}" for number in range(6)]
TRACKS = [f"t{number:02d}" for number in range(12)]
# Commas, quotes, letters beyond ASCII, none at all.
ARTISTS = ['The "Salt, & Sea"', "Björk's Shadow", "Quiet River", None]
CHAMPION = "ddpgw-2026-11-03-0badcafe"
POLICIES = ["ddpg_w", "item_knn", "popularity"]
# What a column that must not be null holds where the row below does not say.
ANY = {"string": "x", "int": 1, "bigint": 1, "double": 0.25, "float": 0.25, "boolean": True, "tinyint": 0}


def fill(name: str, rows: list[dict[str, Any]]) -> None:
    """Append the rows to the table, with something in every column that must not be null."""
    needed = {column.name: column.type for column in table(name).columns if not column.nullable}
    usual = {column: ANY.get(kind, []) for column, kind in needed.items() if kind not in {"date", "timestamp"}}
    write(name, [usual | row for row in rows])


def write_two_nights(seed: int = 7001) -> None:
    """All tables of both nights into the lake that MUSICBOX_LAKE names."""
    rng = random.Random(seed)
    for night in NIGHTS:
        plays = _plays(night, rng)
        fill("silver.listening_events", plays)
        rejected = [
            {"dt": night, "file": "log.csv", "line": 90, "raw_line": "a,b", "rules": ["parsed"]},
            {"dt": night, "file": "log.csv", "line": 91, "raw_line": "c,d", "rules": ["parsed", "no_duplicate"]},
        ]
        fill("silver.rejected_events", rejected)
        delivered = [{"dt": night, "file": "log.csv", "line": line} for line in range(2, 2 + len(plays))]
        fill("bronze.session_events", delivered + [{"dt": night, "file": "log.csv", "line": line} for line in (90, 91)])
        _write_validation(night, len(plays))
        _write_gold(night, plays)
        _write_scores(night, rng)
        _write_reports(night, rng)
    write("silver.superseded_events", [])
    _write_models()
    _write_ledger()


def _plays(night: dt.date, rng: random.Random) -> list[dict[str, Any]]:
    plays = []
    for user in USERS:
        for position in range(1, 6):
            skipped = rng.choice([True, False, False, None])
            plays.append(
                {
                    "dt": night,
                    "session_id": f"s-{user}-{night}",
                    "session_position": position,
                    "session_length": 5,
                    "track_id": rng.choice(TRACKS),
                    "user_id": user,
                    "skip_2": skipped,
                    "date": night,
                    "premium": user < "u3",
                    "context_type": rng.choice(["catalog", "radio"]),
                    "session_date": night,
                    "session_hour": 9,
                }
            )
    return plays


def _write_validation(night: dt.date, rows: int) -> None:
    results = [
        ("parsed", "quarantine", 2, False, "quarantine"),
        ("labelled", "warn", 7, True, "go_on"),
        ("utf_8", "quarantine", 0, True, "go_on"),
    ]
    fill(
        "silver.validation_results",
        [
            {
                "dt": night,
                "input": "session_logs",
                "rule": rule,
                "severity": severity,
                "evaluated": rows,
                "unexpected": unexpected,
                "unexpected_share": unexpected / rows,
                "success": success,
                "decision": decision,
            }
            for rule, severity, unexpected, success, decision in results
        ],
    )


def _write_gold(night: dt.date, plays: list[dict[str, Any]]) -> None:
    played = [play["track_id"] for play in plays]
    features = []
    for at, track in enumerate(TRACKS):
        count = played.count(track)
        features.append(
            {
                "dt": night,
                "track_id": track,
                "plays": count,
                "quality_by_fold": [0.0] * 10,
                "skip_rate_shrunk": (at + 1) / 13,
                "play_share": count / len(plays),
                "title": f"Song {at}" if at % 5 else None,
                "artist": ARTISTS[at % len(ARTISTS)],
                "genre": "salsa",
                "release_year": 1990 + at,
            }
        )
    fill("gold.track_features", features)
    sessions = {play["user_id"]: play["session_id"] for play in plays}
    rows = [
        {"dt": night, "user_id": user, "fold": at, "session_id": session, "session_dt": night, "n_in_session": 0}
        for at, (user, session) in enumerate(sessions.items())
    ]
    fill("gold.last_sessions", rows)


def _write_scores(night: dt.date, rng: random.Random) -> None:
    rows = []
    for user in USERS:
        for rank, track in enumerate(rng.sample(TRACKS, 3), start=1):
            rows.append(
                {
                    "dt": night,
                    "user_id": user,
                    "rank": rank,
                    "track_id": track,
                    "score": rng.random() / 3,
                    "propensity": rng.random() ** 30,
                    "source": rng.choice(["actor", "item_knn", "explore"]),
                    "reason_code": "near_liked_track",
                    "because_track_id": rng.choice([*TRACKS, None]),
                    "model_id": CHAMPION,
                }
            )
    fill("scores.top3_recommendations", rows)


def _write_reports(night: dt.date, rng: random.Random) -> None:
    rates: list[dict[str, Any]] = []
    compared: list[dict[str, Any]] = []
    evaluated: list[dict[str, Any]] = []
    varied: list[dict[str, Any]] = []
    for segment in ("all", "held_out"):
        place = {"dt": night, "segment": segment}
        logged = {"skip_rate_logged": 1 / 3, "skip_rate_logged_lo": 0.3, "skip_rate_logged_hi": 0.4}
        rates.append({**place, "policy": "logged", "n": 60, **logged, "evidence": "ok"})
        varied.append({**place, "policy": "logged", "diversity_ild": 2 / 7, "ild_space": "audio"})
        for policy in POLICIES:
            rate = rng.random() if policy != "item_knn" else None
            evidence = "ok" if rate is not None else "low_ess"
            lo, hi = (None, None) if rate is None else (rate - 0.1, rate + 0.1)
            estimate = {"skip_rate_dr": rate, "skip_rate_dr_lo": lo, "skip_rate_dr_hi": hi, "evidence": evidence}
            rates.append({**place, "policy": policy, "n": 55, **estimate})
            varied.append({**place, "policy": policy, "diversity_ild": rng.random(), "gini": 0.1 + 0.2})
            measure = {**place, "policy": policy, "n": 55, "evidence": evidence}
            evaluated.append({**measure, "measure": "skip_rate_dr", "value": rate, "lo": lo, "hi": hi, "ess": 40.5})
            rank = {"measure": "hit_rate_20", "value": rng.random(), "lo": 0.0, "hi": 1.0}
            evaluated.append({**measure, **rank, "evidence": "ok"})
            if policy != "ddpg_w":
                ends = {"difference": rate and -rate, "lo": rate and -rate - 0.1, "hi": rate and 0.1 - rate}
                pair = {**place, "policy": "ddpg_w", "versus": policy, "measure": "skip_rate_dr", "evidence": evidence}
                compared.append(pair | ends)
    fill("reports.skip_rate", rates)
    fill("reports.policy_comparison", compared)
    fill("reports.policy_evaluation", evaluated)
    fill("reports.diversity", varied)


def _write_models() -> None:
    made = {"dt": dt.date(2026, 11, 3), "reason": "promoted: no model served its day before"}
    inputs = list({"gold.track_features": 3, "training.transitions": 1}.items())
    fill("models.registry", [{**made, "model_id": CHAMPION, "status": "champion", "inputs": inputs}])


def _write_ledger() -> None:
    written_at = dt.datetime(2026, 11, 6, 0, 1, 2, 345678, tzinfo=dt.UTC)
    rows = []
    for version, night in enumerate(NIGHTS, start=1):
        for name in ("scores.top3_recommendations", "silver.listening_events"):
            entry = {"run_id": f"night__{night}", "job": name.split(".")[1], "table": name, "version": version}
            inputs = list({"gold.last_sessions": "3", "models.registry": CHAMPION}.items())
            rows.append(entry | {"days": [night], "rows": 18, "inputs": inputs, "written_at": written_at})
    registered = {"run_id": "manual__1", "job": "registry", "table": "models.registry", "version": 1}
    fill("ops.run_ledger", [*rows, registered | {"days": [], "rows": 1, "written_at": written_at}])
