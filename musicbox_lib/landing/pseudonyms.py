"""Users as pseudonyms: HMAC-SHA256 of the delivered id under MUSICBOX_USER_KEY, from bronze on."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from typing import TYPE_CHECKING

from musicbox_lib.contract.tables import table
from musicbox_lib.errors import UsageError
from musicbox_lib.landing.header import required_columns
from musicbox_lib.settings import settings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PREFIX = "p_"
BLOCK = 64
"""Bytes of SHA-256's block, to which HMAC fills up its key (RFC 2104)."""
SHORTEST_KEY = 16
AN_ID = r"^[!-~]{1,128}\z|^[^\s\p{Cc}\p{Z}]{1,128}\z"
"""What the rule user_id_pattern lets pass. The pseudonym of anything else has a blank in it, which the rule sees."""
AN_ITEM = r"^[\w.:-]{1,64}\z"
WORDS = ("context_type", "reason_start", "reason_end")


def key() -> bytes | None:
    """The key; None where users keep their delivered ids. Raises UsageError for one that is short or given twice."""
    given, file = settings().user_key.get_secret_value(), settings().user_key_file
    if file is not None:
        if given:
            raise UsageError("MUSICBOX_USER_KEY and MUSICBOX_USER_KEY_FILE are both set: unset one of them.")
        try:
            given = file.read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise UsageError(f"MUSICBOX_USER_KEY_FILE: {file} cannot be read as text: name a file that can.") from None
    elif not given:
        return None
    if len(given) < SHORTEST_KEY:
        raise UsageError(
            f"the key of MUSICBOX_USER_KEY has fewer than {SHORTEST_KEY} characters and could be guessed: "
            "take a longer one, as from `openssl rand -hex 32`."
        )
    return given.encode()


def key_mark() -> str:
    """8 hex digits that tell one key from another and nothing else about it; empty without a key."""
    found = key()
    return "" if found is None else _hex(found, "which key this is")[:8]


def _hex(secret: bytes, word: str) -> str:
    return hmac.new(secret, word.encode(), hashlib.sha256).hexdigest()


def pseudonym(user_id: str, secret: bytes) -> str:
    """A user's pseudonym under a key, as `pseudonym_of` gives it."""
    # AN_ID in Python's words, whose re knows no \p.
    kinds = {unicodedata.category(sign) for sign in user_id}
    is_id = 1 <= len(user_id) <= 128 and kinds.isdisjoint({"Cc", "Zs", "Zl", "Zp"})
    return PREFIX + ("" if is_id else " ") + _hex(secret, user_id)


def is_pseudonym(word: str) -> bool:
    """Whether a word has a pseudonym's form."""
    return re.fullmatch(rf"{PREFIX} ?[0-9a-f]{{64}}", word) is not None


def names_of(user_id: str) -> frozenset[str]:
    """What a user may be called in the lake: the word itself, and its pseudonym where a key is set."""
    secret = key()
    return frozenset({user_id} if secret is None else {user_id, pseudonym(user_id, secret)})


def pseudonym_of(user_id: Column, secret: bytes) -> Column:
    """The pseudonym of a column of ids; null stays null. Spark has no HMAC, but HMAC is two hashes:
    H(key ^ 5c5c… || H(key ^ 3636… || id))."""
    from pyspark.sql import functions as F

    filled = (hashlib.sha256(secret).digest() if len(secret) > BLOCK else secret).ljust(BLOCK, b"\0")
    outer, inner = (F.lit(bytes(byte ^ pad for byte in filled)) for pad in (0x5C, 0x36))
    digest = F.sha2(F.concat(outer, F.unhex(F.sha2(F.concat(inner, F.encode(user_id, "UTF-8")), 256))), 256)
    return F.concat(F.when(user_id.rlike(AN_ID), F.lit(PREFIX)).otherwise(F.lit(f"{PREFIX} ")), digest)


def applied(rows: DataFrame) -> DataFrame:
    """Delivered rows with users as pseudonyms where a key is set; rows that name no user stay as they are."""
    secret = key()
    return rows if secret is None or "user_id" not in rows.columns else with_pseudonyms(rows, secret)


def with_pseudonyms(rows: DataFrame, secret: bytes) -> DataFrame:
    """Rows of bronze.session_events without any delivered user id.

    In `raw_line` a line that was parsed and has no quote changes its user and nothing else. Of any other line only
    punctuation, control and replacement characters stay, letters and digits become x: the rules that look at it see
    the same. In a line that was not parsed a value may stand in a neighbour's column, or be swallowed by a quote: there
    session and track stay only as ids beside a position and a length, an enumeration's words only where it has them.
    """
    from pyspark.sql import functions as F

    place = len(required_columns(table("landing.session_logs")))
    changed = pseudonym_of(F.col("user_id"), secret)
    fields = F.split("raw_line", ",", -1)
    # The optional columns come in any order: the user's is the one with the user in it.
    after = F.transform(
        F.slice(fields, F.lit(place + 1), F.greatest(F.size(fields) - F.lit(place), F.lit(0))),
        lambda value: F.when(value == F.col("user_id"), changed).otherwise(value),
    )
    plain = F.col("is_parsed") & ~F.contains(F.col("raw_line"), F.lit('"'))
    return rows.withColumns(
        {
            "raw_line": F.when(plain & F.col("user_id").isNull(), F.col("raw_line"))
            .when(plain, F.concat_ws(",", F.slice(fields, 1, place), after))
            .otherwise(masked(F.col("raw_line"))),
            "user_id": changed,
            **{name: _id_or_masked(F.col(name)) for name in ("session_id", "track_id")},
            **{
                name: F.when(F.col("is_parsed") | F.col(name).isin(known_words(name)), F.col(name)).otherwise(
                    masked(F.col(name))
                )
                for name in WORDS
            },
        }
    )


def masked(text: Column) -> Column:
    """A text of which only punctuation, control and replacement characters stay; letters and digits become x."""
    from pyspark.sql import functions as F

    return F.regexp_replace(text, r"[\p{L}\p{M}\p{N}]", "x")


def _id_or_masked(word: Column) -> Column:
    """An id of a line that was parsed, or that stands in its place beside a position and a length. Any other is masked,
    and refused still where it is none; null where it would join a session."""
    from pyspark.sql import functions as F

    has_position, has_length = F.col("session_position").isNotNull(), F.col("session_length").isNotNull()
    in_place = F.col("is_parsed") | (has_position & has_length & word.rlike(AN_ITEM))
    return F.when(in_place, word).when(has_length | ~has_position, masked(word))


def known_words(name: str) -> list[str]:
    """The words that the rules of silver know for a column."""
    sets = [
        rule.kwargs["value_set"]
        for rule in table("silver.listening_events").expectations
        if rule.kwargs.get("column") == name and "value_set" in rule.kwargs
    ]
    return [str(word) for words in sets for word in words]
