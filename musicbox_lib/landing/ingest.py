"""Which deliveries a night ingests: its own day always, and whatever earlier the run ledger does not know yet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import groupby

from musicbox_lib.errors import DataRefused
from musicbox_lib.lake import ledger
from musicbox_lib.landing import places, pseudonyms
from musicbox_lib.landing.places import Delivery


def fingerprints(deliveries: Sequence[Delivery]) -> dict[str, str]:
    """What the ledger records of the deliveries: path below landing -> fingerprint, with the mark of the key that
    users were made pseudonyms by: under another key a day is ingested anew."""
    mark = pseudonyms.key_mark()
    return {delivery.path: delivery.fingerprint + (f":{mark}" if mark else "") for delivery in deliveries}


def delivered_on(day: dt.date, inputs: Mapping[str, str]) -> dict[str, str]:
    """Of what a write had read, the day's files. A word that is no path below landing is none."""
    return {path: mark for path, mark in inputs.items() if "/" in path and places.day_of_path(path) == day}


def unknown_to_ledger(deliveries: Sequence[Delivery], name: str) -> list[Delivery]:
    """All deliveries of those days whose files are not exactly the ones that the table's newest write of the day had
    read: a file added to, changed in or withdrawn from an old day makes that day be ingested again."""
    writes = ledger.last_writes(name)
    found: list[Delivery] = []
    ordered = sorted(deliveries, key=lambda delivery: (delivery.day, delivery.path))
    for day, group in groupby(ordered, lambda delivery: delivery.day):
        files = list(group)
        known = writes[day].inputs if day in writes else {}
        if fingerprints(files) != delivered_on(day, known):
            found += files
    return found


def for_night(deliveries: Sequence[Delivery], run_date: dt.date, name: str) -> list[Delivery]:
    """The deliveries that the night ingests: those of the run date anew, earlier ones as `unknown_to_ledger` says.
    Raises DataRefused where nothing was delivered on the run date."""
    tonight = [delivery for delivery in deliveries if delivery.day == run_date]
    if not tonight:
        raise DataRefused(
            f"there is no delivery for {run_date} under {places.landing(places.LOGS)}: "
            f"land a file with `musicbox land --log FILE --dt {run_date}`."
        )
    earlier = [delivery for delivery in deliveries if delivery.day < run_date]
    return unknown_to_ledger(earlier, name) + tonight
