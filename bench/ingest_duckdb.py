"""The peer of the ingest bench: DuckDB reads, types and checks the same files by the same rules, and writes the same
three tables as Parquet. The rules come from the same YAML; the session facts from one aggregation, as in the suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from musicbox_lib.contract.tables import Expectation, table
from musicbox_lib.validation.rules import row_rules
from musicbox_lib.validation.session_facts import FLAGS, LABELS, REQUIRED, SESSION_FACTS

NAMES = table("silver.listening_events").column_names
TYPES = {"string": "VARCHAR", "int": "INTEGER", "boolean": "BOOLEAN", "date": "DATE", "double": "DOUBLE"}


def _broken(rule: Expectation) -> str:
    column, kwargs = rule.kwargs["column"], rule.kwargs
    if rule.type == "expect_column_values_to_not_be_null":
        return f"{column} IS NULL"
    if rule.type == "expect_column_values_to_be_in_set":
        values = ", ".join(_literal(value) for value in kwargs["value_set"])
        return f"{column} NOT IN ({values})"
    if rule.type == "expect_column_values_to_not_match_regex":
        return f"contains({column}, chr({0 if kwargs['regex'] == chr(92) + 'x00' else 0xFFFD}))"
    if rule.type == "expect_column_values_to_match_regex":
        pattern = kwargs["regex"]
        return f"NOT regexp_matches({column}, '{pattern}')"
    value = f"length({column})" if "lengths" in rule.type else column
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    bounds = [f"{value} {'<=' if kwargs.get('strict_min') else '<'} {low}"] if low is not None else []
    bounds += [f"{value} > {high}"] if high is not None else []
    return " OR ".join(bounds)


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).lower()


def _count(conditions: list[str]) -> str:
    return " + ".join(f"coalesce(({condition})::INT, 0)" for condition in conditions)


def ingest(logs: list[Path], out: Path, day: str) -> dict[str, int]:
    """Read the files, write silver.parquet, rejected.parquet and results.parquet; gives the rows of the first two."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.execute("SET preserve_insertion_order = false")
    landed = table("landing.session_logs").columns
    renamed = [name for name in table("bronze.session_events").column_names if name not in _OWN]
    typed = [
        f"try_cast(nullif(parts[{place}], '') AS {TYPES[column.type]}) AS {name}"
        for place, (column, name) in enumerate(zip(landed, renamed, strict=True), start=1)
    ]
    fits = [
        f"(nullif(parts[{place}], '') IS NULL OR {name} IS NOT NULL)"
        for place, name in enumerate(renamed, start=1)
        if name not in _WORDS
    ]
    files = ", ".join(f"'{log}'" for log in logs)
    reader = "columns = {'raw_line': 'VARCHAR'}, delim = '\x1e', quote = '', escape = '', header = true, "
    reader += (
        "filename = true, auto_detect = false, strict_mode = false, ignore_errors = true, max_line_size = 10000000"
    )
    connection.execute(f"""
        CREATE TABLE bronze AS
        WITH lines AS (SELECT raw_line, filename AS file, string_split(raw_line, ',') AS parts
                       FROM read_csv([{files}], {reader})),
             typed AS (SELECT *, {", ".join(typed)}, len(parts) AS n FROM lines)
        SELECT * EXCLUDE (parts, n), row_number() OVER () AS line,
               n = {len(landed)} AND {" AND ".join(fits)} AS is_parsed
        FROM typed""")
    contradictions = _count(
        ["skip_1 AND NOT skip_2", "skip_2 AND NOT skip_3", "not_skipped AND (skip_1 OR skip_2 OR skip_3)"]
    )
    connection.execute(f"""
        CREATE VIEW facts AS SELECT *,
            (length(raw_line) - length(replace(raw_line, '"', ''))) % 2 AS open_quotes,
            {_count([f"{name} IS NULL" for name in REQUIRED])} AS missing_values,
            {_count([f"{name} NOT IN (0, 1)" for name in FLAGS])} AS odd_flags,
            {_count([f"{name} IS NOT NULL" for name in LABELS])} AS labels_given,
            {contradictions} AS label_contradictions,
            coalesce(skip_1 OR skip_2 OR skip_3 OR not_skipped, false) AS has_label,
            session_length - session_position AS plays_left,
            date - DATE '{day}' AS days_ahead
        FROM bronze""")
    connection.execute("""
        CREATE TABLE sessions AS
        SELECT *, parsed AND least = n AND most = n AND places = (1 << (n + 1)) - 2 AND one_user AS is_plain
        FROM (SELECT session_id, count(*)::INT AS n, bool_and(is_parsed) AS parsed, min(session_length) AS least,
                     max(session_length) AS most, coalesce(min(user_id) = max(user_id), true) AS one_user,
                     bit_or(if(session_position BETWEEN 1 AND 20, 1 << session_position, 0)) AS places,
                     min((session_position, date, hour_of_day)) AS first
              FROM bronze WHERE session_id IS NOT NULL GROUP BY session_id)""")
    every = row_rules(table("silver.listening_events"))
    own = [rule for rule in every if rule.kwargs["column"] not in SESSION_FACTS]
    alone = " OR ".join(f"coalesce({_broken(rule)}, false)" for rule in own)
    told = ", ".join(f"CASE WHEN {_broken(rule)} THEN '{rule.rule}' END" for rule in every)
    quarantine = ", ".join(f"'{rule.rule}'" for rule in every if rule.severity == "quarantine")
    content = f"hash({', '.join(renamed)})"
    connection.execute(f"""
        CREATE TABLE flagged AS
        WITH suspects AS (SELECT facts.*, s.n AS session_rows, coalesce(s.is_plain, false) AS is_plain
                          FROM facts LEFT JOIN sessions s USING (session_id)
                          WHERE NOT coalesce(s.is_plain, false) OR {alone}),
             told AS (SELECT *, 0 AS earlier_deliveries,
                row_number() OVER place AS copy_number,
                if(min({content}) OVER at_place = max({content}) OVER at_place, 1, 2) AS position_contents,
                if(min(session_length) OVER s = max(session_length) OVER s, 1, 2) AS session_lengths,
                if(min(user_id) OVER s = max(user_id) OVER s, 1, 2) AS session_users
                FROM suspects WHERE NOT is_plain
                WINDOW s AS (PARTITION BY session_id), at_place AS (PARTITION BY session_id, session_position),
                       place AS (PARTITION BY session_id, session_position ORDER BY is_parsed DESC, file, line)),
             counted AS (SELECT *, max(session_length) OVER (PARTITION BY session_id) - sum(
                    (copy_number = 1 AND session_position BETWEEN 1 AND session_length)::INT)
                    OVER (PARTITION BY session_id) AS missing_positions FROM told),
             facts_of_all AS (SELECT * FROM counted UNION ALL BY NAME
                SELECT *, 0 AS earlier_deliveries, 1 AS copy_number, 1 AS position_contents, 1 AS session_lengths,
                       1 AS session_users, 0 AS missing_positions FROM suspects WHERE is_plain),
             judged AS (SELECT *, list_filter([{told}], lambda x: x IS NOT NULL) AS broken FROM facts_of_all)
        SELECT *, list_filter(broken, lambda x: x IN ({quarantine})) AS rules FROM judged""")
    connection.execute(f"""
        COPY (SELECT '{day}'::DATE AS dt, file, line, raw_line, session_id, session_position, rules FROM flagged
              WHERE len(rules) > 0) TO '{out}/rejected.parquet'""")
    connection.execute(f"""
        COPY (SELECT rule, count(*) AS unexpected FROM (SELECT unnest(broken) AS rule FROM flagged) GROUP BY rule)
        TO '{out}/results.parquet'""")
    played = ", ".join(name for name in renamed if name != "user_id")
    connection.execute(f"""
        COPY (SELECT '{day}'::DATE AS dt, {played}, coalesce(user_id, session_id) AS user_id,
                     CASE WHEN skip_1 THEN 3 WHEN skip_2 THEN 2 WHEN skip_3 THEN 1 WHEN not_skipped THEN 0 END
                         AS skip_grade,
                     s.first[2] AS session_date, s.first[3] AS session_hour, '{day}'::DATE AS delivered_on
              FROM bronze JOIN sessions s USING (session_id)
              WHERE (file, line) NOT IN (SELECT (file, line) FROM flagged WHERE len(rules) > 0))
        TO '{out}/silver.parquet'""")
    counted = "SELECT (SELECT count(*) FROM '{0}/silver.parquet'), (SELECT count(*) FROM '{0}/rejected.parquet')"
    silver, rejected = connection.execute(counted.format(out)).fetchone() or (0, 0)
    return {"silver": silver, "rejected": rejected}


_OWN = {"dt", "file", "line", "raw_line", "is_parsed"}
_WORDS = {"session_id", "track_id", "context_type", "reason_start", "reason_end", "user_id"}
