"""Bronze keeps every delivered row, with the line it stood on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deliveries import DAY, OFFICIAL, as_csv, deliver, play, plays, rows_of, run

from musicbox_lib.contract.tables import table
from musicbox_lib.landing import listing
from musicbox_lib.landing.lines import delivered_columns, read_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_lines_are_counted_across_the_blocks_of_a_big_plain_file(spark: SparkSession, lake_root: Path) -> None:
    rows = [row for number in range(60) for row in plays(f"s{number:03d}")]
    deliver(lake_root, as_csv(rows), "big.csv")
    deliver(lake_root, as_csv(rows[:10]), "small.csv")
    before = spark.conf.get("spark.sql.files.maxPartitionBytes")
    spark.conf.set("spark.sql.files.maxPartitionBytes", "4096")
    try:
        landed, bronze = table("landing.session_logs"), table("bronze.session_events")
        read = read_rows(spark, listing.log_deliveries(spark, DAY), landed, delivered_columns(bronze))
        found = read.where("file = 'big.csv'").select("line", "session_id", "session_position").collect()
        assert read.rdd.getNumPartitions() > 10
    finally:
        spark.conf.set("spark.sql.files.maxPartitionBytes", str(before))
    expected = [(line, row["session_id"], int(row["session_position"])) for line, row in enumerate(rows, start=2)]
    assert sorted(tuple(row) for row in found) == expected


def test_every_kind_of_file_comes_through_in_one_night(spark: SparkSession, lake_root: Path) -> None:
    """BOM, CRLF, blank lines, odd names, headers with and without the optional columns, a track table."""
    deliver(lake_root, "\ufeff".encode() + as_csv(plays("bom"), OFFICIAL).replace(b"\n", b"\r\n"), "a b.csv")
    with_blank = as_csv([*plays("blank")[:5], "", "   ", *plays("blank")[5:]])
    deliver(lake_root, with_blank)
    only_propensity = [*OFFICIAL, "propensity"]
    deliver(lake_root, as_csv([play("short", 1, 1), "a,b,c"], only_propensity), "p.csv")
    names = table("landing.tracks").column_names[:31]
    tracks = lake_root / "landing" / "tracks" / f"t.dt={DAY}.csv"
    tracks.parent.mkdir(parents=True)
    values = ["t_1", "200.5", "1999", *["0.5"] * 9, "7", "0.5", "-6.0", "0.5", "1", *["0.5"] * 3, "4", *["0.5"] * 9]
    tracks.write_bytes(as_csv([",".join([*values, '"A title, with a comma"']), ",".join(["t_2", *values[1:]])], names))
    run("session_events")

    rows = rows_of("bronze.session_events")
    by_file = {
        name: sorted(row["line"] for row in rows if row["file"] == name) for name in {row["file"] for row in rows}
    }
    assert by_file == {
        "a b.csv": list(range(2, 12)),
        "log.csv.gz": [2, 3, 4, 5, 6, 9, 10, 11, 12, 13],
        "p.csv": [2, 3],
    }
    first = {(row["file"], row["line"]): row for row in rows}
    bom = first["a b.csv", 2]
    assert (bom["session_id"], bom["reason_end"], bom["user_id"], bom["propensity"]) == ("bom", "trackdone", None, None)
    assert first["log.csv.gz", 2]["user_id"] == "u-blank", "bronze holds what was delivered"
    assert (first["p.csv", 2]["propensity"], first["p.csv", 2]["user_id"]) == (0.25, None)
    assert (first["p.csv", 3]["is_parsed"], first["p.csv", 3]["raw_line"]) == (False, "a,b,c")
    assert [row["is_parsed"] for row in rows].count(False) == 1
    delivered = {row["track_id"]: row for row in rows_of("bronze.tracks")}
    assert delivered["t_1"]["title"] == "A title, with a comma"
    assert (delivered["t_1"]["key"], delivered["t_1"]["loudness"], delivered["t_1"]["is_parsed"]) == (7, -6.0, True)
    assert delivered["t_2"]["is_parsed"] is False, "one value short"
    assert {row["dt"] for row in delivered.values()} == {DAY}
