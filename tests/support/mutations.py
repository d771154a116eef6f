"""Seeded damage to a delivered log, and a count of its rows that knows nothing of Spark."""

from __future__ import annotations

import random
from collections.abc import Callable

BLANK = b" \t\x0b\x0c\r\n"
Mutation = Callable[[bytearray, int, int, random.Random], bytes]
"""Of the log, the bounds of one line (its end of line included) and chance: what stands there instead."""


def _at(line: bytes, rng: random.Random) -> int:
    return rng.randrange(len(line) + 1)


def _fields(line: bytes) -> list[bytes]:
    return line.rstrip(b"\r\n").split(b",")


def flip_bits(line: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(max(len(line), 1))
    return line[:at] + bytes([line[at] ^ (1 << rng.randrange(8))]) + line[at + 1 :] if line else line


def random_bytes(line: bytes, rng: random.Random) -> bytes:
    at = _at(line, rng)
    return line[:at] + rng.randbytes(rng.randint(1, 8)) + line[at:]


def delete_bytes(line: bytes, rng: random.Random) -> bytes:
    at = _at(line, rng)
    return line[:at] + line[at + rng.randint(1, 12) :]


def cut_line(line: bytes, rng: random.Random) -> bytes:
    """Without its end of line: the next one follows on it."""
    return line[: _at(line, rng)]


def drop_line(line: bytes, rng: random.Random) -> bytes:
    return b""


def double_line(line: bytes, rng: random.Random) -> bytes:
    return line * rng.randint(2, 3)


def insert(*words: bytes) -> Callable[[bytes, random.Random], bytes]:
    def inserted(line: bytes, rng: random.Random) -> bytes:
        at = _at(line, rng)
        return line[:at] + rng.choice(words) + line[at:]

    return inserted


def swap_fields(line: bytes, rng: random.Random) -> bytes:
    fields = _fields(line)
    one, other = rng.randrange(len(fields)), rng.randrange(len(fields))
    fields[one], fields[other] = fields[other], fields[one]
    return b",".join(fields) + b"\n"


def replace_field(line: bytes, rng: random.Random) -> bytes:
    fields = _fields(line)
    words = (b"", b"-1", b"99999999999", b"1e309", b"NaN", b"null", b"true", b"2018-02-30", b"../..", b"' OR 1=1 --")
    fields[rng.randrange(len(fields))] = rng.choice(words)
    return b",".join(fields) + b"\n"


def huge_field(line: bytes, rng: random.Random) -> bytes:
    fields = _fields(line)
    fields[rng.randrange(len(fields))] = b"x" * rng.choice((5_000, 70_000, 1_000_000))
    return b",".join(fields) + b"\n"


def field_less_or_more(line: bytes, rng: random.Random) -> bytes:
    fields = _fields(line)
    at = rng.randrange(len(fields))
    fields[at : at + 1] = [] if rng.random() < 0.5 else [fields[at], fields[at]]
    return b",".join(fields) + b"\n"


KINDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(flip_bits, random_bytes, delete_bytes, cut_line, drop_line, double_line),
    *(swap_fields, replace_field, huge_field, field_less_or_more),
    insert(b"\x00", b"\x00\x00"),
    insert(b'"', b'""', b"'", b"\\"),
    insert(b"\xe9", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", "\u2028".encode(), "\u0085".encode()),
    insert(b"\r", b"\r\n", b"\n", b"\n\n", b"\n \t\n", b"\x0b", b"\x0c"),
)


def mutated(log: bytes, count: int, seed: int) -> bytes:
    """The log with so many lines damaged, and some of them once more; its header stays."""
    rng = random.Random(seed)
    header, *lines = log.splitlines(keepends=True)
    for _ in range(count):
        at = rng.randrange(len(lines))
        if rng.random() < 0.05:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines[at] = rng.choice(KINDS)(lines[at], rng)
    return header + b"".join(lines)


def rows_in(log: bytes) -> int:
    r"""Rows of a delivered file: its lines, which end with \n, \r or \r\n, but for the header and those that hold
    nothing but blanks, tabs and form feeds."""
    lines = log.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return sum(1 for line in lines[1:] if line.strip(BLANK))
