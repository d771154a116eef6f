"""Users as pseudonyms: the HMAC in Spark's columns, what is masked, what the rules go on seeing."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deliveries import as_csv, deliver, play, plays, rows_of, run
from pyspark.sql import functions as F

from musicbox_lib import settings as settings_module
from musicbox_lib.contract.tables import table
from musicbox_lib.errors import UsageError
from musicbox_lib.landing import pseudonyms
from musicbox_lib.landing.header import required_columns

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEY = "a key of the tests, 7001"


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    monkeypatch.setenv("MUSICBOX_USER_KEY", KEY)
    settings_module.settings.cache_clear()
    yield KEY.encode()
    settings_module.settings.cache_clear()


@pytest.mark.parametrize("key", [b"0123456789abcdef", b"k" * 64, b"k" * 65, "schlüssel-äöü-€-0".encode()])
def test_sparks_columns_give_pythons_hmac(spark: SparkSession, key: bytes) -> None:
    ids = ["u_000012", "jürgen", "用户", "", "a b", "x" * 129, "null", "a\u00a0b", "a\u2028", "a\x85", "\U0001f3b5"]
    rows = spark.createDataFrame([*((word,) for word in ids), (None,)], "id string")
    found = [row[0] for row in rows.select(pseudonyms.pseudonym_of(F.col("id"), key)).collect()]
    assert found[-1] is None
    for word, given in zip(ids, found[:-1], strict=True):
        assert given == pseudonyms.pseudonym(word, key)
        assert given.endswith(hmac.new(key, word.encode(), hashlib.sha256).hexdigest())
        # What user_id_pattern refuses it must go on refusing.
        assert (" " in given) == (re.fullmatch(r"[^\s\x00-\x1f\x7f-\x9f]{1,128}", word) is None)


def test_a_plan_does_not_tell_the_key(spark: SparkSession, keyed: bytes) -> None:
    plan = (
        spark.createDataFrame([("u",)], "id string")
        .select(pseudonyms.pseudonym_of(F.col("id"), keyed))
        ._jdf.queryExecution()
        .toString()
    )
    assert "redacted" in plan
    for pad in (0x5C, 0x36):
        assert bytes(byte ^ pad for byte in keyed).hex().upper() not in plan.upper()


def test_a_key_is_long_and_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    monkeypatch.setenv("MUSICBOX_USER_KEY_FILE", str(file))
    settings_module.settings.cache_clear()
    assert pseudonyms.key() == KEY.encode()
    monkeypatch.setenv("MUSICBOX_USER_KEY", KEY)
    settings_module.settings.cache_clear()
    assert KEY not in repr(settings_module.settings())
    with pytest.raises(UsageError, match="both set"):
        pseudonyms.key()
    monkeypatch.delenv("MUSICBOX_USER_KEY")
    settings_module.settings.cache_clear()
    file.write_text("short")
    with pytest.raises(UsageError, match="fewer than 16 characters") as refusal:
        pseudonyms.key()
    assert "short" not in str(refusal.value)
    settings_module.settings.cache_clear()


def test_an_id_is_what_the_rule_lets_pass() -> None:
    [rule] = [rule for rule in table("silver.listening_events").expectations if rule.rule == "user_id_pattern"]
    assert rule.kwargs["regex"] == pseudonyms.AN_ID


def test_the_user_stands_where_a_line_is_changed() -> None:
    names = table("landing.session_logs").column_names
    assert names[len(required_columns(table("landing.session_logs")))] == "user_id"


@pytest.mark.slow
def test_lines_are_masked_and_break_the_same_rules(
    spark: SparkSession, lake_root: Path, keyed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [row for number in range(12) for row in plays(f"s-{number}", 20)]
    fields = [list(play("odd", position, 9).values()) for position in range(1, 10)]
    fields[0][3] = "t\x00"
    fields[1][3] = '"t'
    fields[2][18] = '"catalog"'
    fields[3][2] = "nine"
    fields[4][3] = "t" * 4100
    fields[5][21] = "two words"
    fields[6].pop(4)  # the user slips into reason_end
    fields[7][22] = ""
    broken = [",".join(values) for values in fields] + ["u-odd,0.25", "caf\u00e9 u-odd \ufffd"]
    deliver(lake_root, as_csv([*good, *broken]))
    run("session_events")
    run("listening_events")
    under_key = {row["line"]: row for row in rows_of("bronze.session_events")}
    rules = {(row["line"], *sorted(row["rules"])) for row in rows_of("silver.rejected_events")}
    assert len(rules) == len(broken)
    assert "u-odd" not in str(under_key)
    monkeypatch.delenv("MUSICBOX_USER_KEY")
    settings_module.settings.cache_clear()
    run("session_events")
    run("listening_events")
    delivered = {(row["line"], *sorted(row["rules"])) for row in rows_of("silver.rejected_events")}
    # Without a length nobody can tell whether the line's session is its own, so it is set apart.
    assert rules ^ delivered == {
        (245, "parsed", "values_present"),
        (245, "one_user", "parsed", "session_complete", "values_present"),
    }
    for row in rows_of("bronze.session_events"):
        masked = under_key[row["line"]]
        assert masked["user_id"] == (row["user_id"] and pseudonyms.pseudonym(row["user_id"], keyed))
        if row["is_parsed"] and '"' not in row["raw_line"]:
            values = row["raw_line"].split(",")
            values[21] = masked["user_id"] or ""
            assert masked["raw_line"] == ",".join(values)
            assert [masked[name] for name in ("session_id", "track_id", "reason_end")] == [
                row[name] for name in ("session_id", "track_id", "reason_end")
            ]
        else:
            assert masked["raw_line"] == "".join("x" if sign.isalnum() else sign for sign in row["raw_line"])
