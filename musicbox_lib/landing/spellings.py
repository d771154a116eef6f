"""How the sources write a value, and which words stand for none: one declaration for Spark and for Python.

What a column adds to it (words of its own, whether a value may be missing, whether it is free text) stands in
`schemas/1_landing`. What fits no spelling is not read at all.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from musicbox_lib.contract.tables import Column as Declared

if TYPE_CHECKING:
    from pyspark.sql import Column

# pandas, R, SQL dumps, Spark. Compared in small letters, without blanks around; a blank value stands for none as well.
NOTHING = ("", "nan", "na", "n/a", "null", "none", "<na>", r"\n")
BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
# pandas writes whole numbers as 1.0 once their column had a gap.
WHOLE = r"\s*([+-]?[0-9]{1,18})(?:\.0*)?\s*"
NUMBER = r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*"
# A day at midnight is a day; another time of day is not dropped, it does not fit.
DAY = r"\s*([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[ T]00:00(?::00(?:\.0+)?)?(?:Z|\+00:00)?)?\s*"
INTS = {"int": 31, "bigint": 63}


def is_nothing(value: str, column: Declared) -> bool:
    """Whether a delivered value says that there is none. Of a text only the empty one does: a title may be `None`."""
    if not value:
        return True
    return column.may_be_missing and value.strip(" \t").lower() in NOTHING


def fits(value: str, column: Declared) -> bool:
    """Whether a delivered value can be read as the column's type."""
    if is_nothing(value, column) or column.type == "string":
        return True
    word = value.strip(" ").lower()
    if word in column.words:
        return True
    if column.type in INTS:
        whole = re.fullmatch(WHOLE, value, re.ASCII)
        return whole is not None and -(2 ** INTS[column.type]) <= int(whole[1]) < 2 ** INTS[column.type]
    if column.type == "double":
        return re.fullmatch(NUMBER, value, re.ASCII) is not None or word in {"nan", "infinity", "-infinity"}
    if column.type == "boolean":
        return re.sub(r"\.0*$", "", word) in BOOLEANS
    return _is_day(value) if column.type == "date" else True


def value_of(value: str, column: Declared) -> str | float | bool | None:
    """A delivered value that fits, read by the column's type: None where it says that there is none, a day as text."""
    word = value.strip(" ").lower()
    if is_nothing(value, column):
        return None
    if word in column.words:
        return column.words[word]
    if column.type in INTS:
        return int(value.partition(".")[0])
    if column.type == "double":
        return float(value)
    return BOOLEANS[re.sub(r"\.0*$", "", word)] if column.type == "boolean" else value


def _is_day(value: str) -> bool:
    found = re.fullmatch(DAY, value, re.ASCII)
    if found is None:
        return False
    try:
        dt.date(*map(int, found.groups()))
    except ValueError:
        return False
    return True


def without_nothing(value: Column, column: Declared) -> Column:
    """A value that Spark has read by its type; null where it says that there is none."""
    from pyspark.sql import functions as F

    if not column.may_be_missing:
        return value
    if column.type == "double":
        return F.when(~F.isnan(value), value)
    # No word for nothing is longer: most ids need no look at them.
    is_word = F.octet_length(value) <= 4
    for blank in (F.lit(" "), F.lit("\t")):
        is_word = is_word | F.startswith(value, blank) | F.endswith(value, blank)
    return F.when(~(is_word & _says_nothing(value)), value) if column.type == "string" else value


def _says_nothing(word: Column) -> Column:
    from pyspark.sql import functions as F

    return F.lower(F.btrim(word, F.lit(" \t"))).isin(*NOTHING)


def read(word: Column, column: Declared) -> Column:
    """A delivered word as the column's type: null where it says that there is nothing, or cannot be read."""
    from pyspark.sql import functions as F

    bare = F.lower(F.btrim(word))
    if column.type == "string":
        return without_nothing(word, column)
    if column.type in INTS:
        value = F.nullif(F.regexp_extract(word, rf"\A{WHOLE}\z", 1), F.lit("")).try_cast(column.type)
    elif column.type == "double":
        value = F.when(word.rlike(rf"\A{NUMBER}\z") | bare.isin("infinity", "-infinity"), word.try_cast("double"))
        value = value if column.may_be_missing else F.when(bare == "nan", F.lit(float("nan"))).otherwise(value)
    elif column.type == "boolean":
        flag = F.regexp_replace(bare, r"\.0*$", "")
        value = F.when(flag.isin(*_words_for(True)), F.lit(True)).when(flag.isin(*_words_for(False)), F.lit(False))
    else:
        parts = [F.regexp_extract(word, rf"\A{DAY}\z", group) for group in (1, 2, 3)]
        value = F.concat_ws("-", parts[0], *(F.lpad(part, 2, "0") for part in parts[1:])).try_cast("date")
    for spelled, meant in column.words.items():
        value = F.when(bare == spelled, F.lit(meant).cast(column.type)).otherwise(value)
    return value


def is_unread(word: Column, value: Column, column: Declared) -> Column:
    """Whether a word that says something came out as nothing."""
    from pyspark.sql import functions as F

    if column.type == "string":
        return F.lit(False)
    says_nothing = _says_nothing(word) if column.may_be_missing else F.lit(False)
    return word.isNotNull() & ~says_nothing & value.isNull()


def _words_for(flag: bool) -> list[str]:
    return [word for word, meant in BOOLEANS.items() if meant is flag]
