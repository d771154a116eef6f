"""What the two jobs that take deliveries in are given for a day: by the DAGs, by a replay and by the benches."""

from __future__ import annotations


def session_events(day: str) -> dict[str, str]:
    """The arguments of jobs/session_events.py; `day` may be a template."""
    return {
        "run_date": day,
        "session_events": f"bronze.session_events/dt=..{day}",
        "tracks": f"bronze.tracks/dt=..{day}",
    }


def listening_events(day: str) -> dict[str, str]:
    """The arguments of jobs/listening_events.py."""
    return {
        "session_events": f"bronze.session_events/dt=..{day}",
        "tracks": f"bronze.tracks/dt=..{day}",
        "listening_events": f"silver.listening_events/dt=..{day}",
        "superseded_events": f"silver.superseded_events/dt=..{day}",
        "rejected_events": f"silver.rejected_events/dt=..{day}",
        "known_tracks": f"silver.known_tracks/dt=..{day}",
        "rejected_tracks": f"silver.rejected_tracks/dt=..{day}",
        "validation_results": f"silver.validation_results/dt=..{day}",
        "validation_examples": f"silver.validation_examples/dt=..{day}",
    }


def as_words(arguments: dict[str, str]) -> list[str]:
    """The arguments as a command line has them."""
    return [word for name, value in arguments.items() for word in (f"--{name.replace('_', '-')}", value)]
