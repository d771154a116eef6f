"""The reference pages of the docs site, generated from the contract and the code before every build.

`docs/site/conf.py` calls `write`. The pages are not committed: so they cannot disagree with the code, and a change of a
schema is one diff, not two. Needs the jobs environment, whose programs it asks for their arguments.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from musicbox_lib.cli.app import app
from musicbox_lib.contract.jobs import JOBS, Job, Value, Write, option
from musicbox_lib.contract.tables import Expectation, Table, tables
from musicbox_lib.orchestration import job
from musicbox_lib.reports.page.dictionary import STAGES, uses
from musicbox_lib.settings import PROJECT, Settings
from musicbox_lib.sql.views import views


def write(docs: Path) -> None:
    """Write each page below `docs`; one that is as it was keeps its time stamp, so Sphinx does not read it again."""
    for place, text in pages().items():
        target = docs / place
        if not target.is_file() or target.read_text() != text:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text)


def pages() -> dict[str, str]:
    """Every generated page as Markdown, by its place in the site."""
    return {
        "reference/tables.md": tables_page(),
        "reference/jobs.md": jobs_page(),
        "reference/cli.md": cli_page(),
        "reference/settings.md": settings_page(),
    }


def grid(head: tuple[str, ...], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; empty where there is no row. Cells may hold Markdown; pipes and line ends are escaped."""
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines = [head, ("---",) * len(head), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n" if cells else ""


def prose(text: str) -> str:
    """A sentence as Markdown: signs that would be markup are escaped, but for those in inline code."""
    parts = text.split("`")
    return "`".join(part if at % 2 else escape(part, quote=False).replace("*", "\\*") for at, part in enumerate(parts))


def code(text: object) -> str:
    """Inline code; nothing for nothing. A pipe inside needs the escape of `grid` only."""
    return f"`{text}`" if str(text) else ""


def codes(texts: Iterable[object]) -> str:
    """Several pieces of inline code."""
    return ", ".join(map(code, texts))


# ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────


def tables_page() -> str:
    """Every table by stage, with grain, columns, checks and rules; then the views."""
    parts = ["# Tables\n\nGenerated from `schemas/`. A stage is a folder of the lake, a day is a partition.\n\n"]
    parts.append(grid(("table", "grain", "what it holds"), map(_overview, tables().values())))
    users = uses()
    for stage, about in STAGES.items():
        parts.append(f"## {stage}\n\n{about}\n\n")
        for table in tables().values():
            if table.stage == stage:
                parts.append(_table(table, users[table.name].written_by, users[table.name].read_by))
    parts.append("## Views\n\nNamed queries, the same in `musicbox sql` and over JDBC.\n\n")
    parts.append(grid(("view", "what it answers"), ((code(name), prose(view.about)) for name, view in views().items())))
    return "".join(parts)


def _overview(table: Table) -> tuple[str, str, str]:
    return f"[{table.name}](#{anchor(table.name)})", codes(table.grain), prose(table.about)


def anchor(heading: str) -> str:
    """The id that the site gives a heading: lower case, words joined by hyphens, other signs dropped."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower())


def _table(table: Table, written_by: list[str], read_by: list[str]) -> str:
    columns = (
        (code(column.name), code(column.type), "" if column.nullable else "not null", prose(column.about))
        for column in table.columns
    )
    checks = ((code(check.name), prose(check.about), code(check.sql)) for check in table.checks)
    facts = [
        f"Grain: {codes(table.grain)}. Partitioned by {codes(table.partition) or 'nothing'}. Format: {table.format}.",
        f"Written by {_jobs(written_by)}; read by {_jobs(read_by)}.",
    ]
    return "".join(
        [
            f"### {table.name}\n\n{prose(table.about)}\n\n{' '.join(facts)}\n\n",
            grid(("column", "type", "", "meaning"), columns),
            "Checks, which the table itself enforces on every writer:\n\n" if table.checks else "",
            grid(("check", "what must hold", "condition"), checks),
            "Rules of the validation:\n\n" if table.expectations else "",
            grid(("rule", "scope", "severity", "what must hold", "expectation"), map(_rule, table.expectations)),
        ]
    )


def _rule(rule: Expectation) -> tuple[str, ...]:
    bounds = [code(f"{name}={value!r}") for name, value in rule.kwargs.items()]
    if rule.usual is not None:
        floor = f"at least {rule.usual.floor:g}" if rule.usual.floor else f"at least {rule.usual.share:g} of the median"
        bounds.append(f"within five spreads of the last 28 nights, {floor}")
    return code(rule.rule), rule.scope, rule.severity, prose(rule.about), "; ".join([code(rule.type), *bounds])


def _jobs(names: list[str]) -> str:
    return ", ".join(f"[{name}](jobs.md#{anchor(name)})" for name in names) or "no job"


# ── jobs and DAGs ─────────────────────────────────────────────────────────────────────────────────────────────


def jobs_page() -> str:
    """Every job with what it reads, writes and takes beside partitions; then the DAGs."""
    parts = [
        "# Jobs and DAGs\n\nGenerated from `musicbox_lib/contract/jobs.py` and from `dags/`. A job is a program: "
        "its partitions are arguments, its exit code is 0 (done), 1 (failed), 2 (usage), 3 (data "
        "refused) or 4 (conflict).\n\n"
    ]
    for declared in sorted(JOBS, key=lambda declared: declared.name):
        program = job.program(job.path_of(declared.name))
        parts.append(_job(declared, str(program.__doc__)))
    parts.append("## DAGs\n\n")
    parts.append(grid(("DAG", "what it does", "jobs"), map(_dag, sorted((PROJECT / "dags").glob("*.py")))))
    return "".join(parts)


def _job(declared: Job, about: str) -> str:
    rows = []
    for given in declared.arguments:
        if isinstance(given, Value):
            cells = ("value", prose(given.about), "" if given.required else "optional")
        else:
            kind = "writes" if isinstance(given, Write) else "reads"
            cells = (kind, f"[{given.table}](tables.md#{anchor(given.table)})", "")
        rows.append((code(option(given.name)), *cells))
    order = ("reads", "writes", "value")
    rows.sort(key=lambda row: order.index(row[1]))
    head = ("argument", "kind", "table or meaning", "")
    return f"## {declared.name}\n\n{prose(' '.join(about.split()))}\n\n{grid(head, rows)}"


def _dag(path: Path) -> tuple[str, str, str]:
    text = path.read_text()
    tasks = re.findall(r"\bjob\.([a-z0-9_]+)\(", text)
    known = [name for name in dict.fromkeys(tasks) if (PROJECT / "jobs" / f"{name}.py").is_file()]
    return code(path.stem), prose(ast.get_docstring(ast.parse(text)) or ""), _jobs(known) if known else ""


# ── commands and settings ─────────────────────────────────────────────────────────────────────────────────────


def cli_page() -> str:
    """Every command of `musicbox`, then every target of make."""
    from typer.main import get_command

    parts = ["# Command line\n\nGenerated from the commands' own help.\n\n"]
    for name, command in sorted(get_command(app).commands.items()):  # type: ignore[attr-defined]
        parts.append(f"## musicbox {name}\n\n{paragraphs(command.help or '')}\n\n")
        parts.append(grid(("argument", "meaning", "default"), map(_parameter, command.params)))
    parts.append("## make\n\n")
    targets = re.findall(r"^([a-z-]+):.*?## (.*)$", (PROJECT / "Makefile").read_text(), re.M)
    parts.append(grid(("target", "what it does"), ((code(f"make {name}"), prose(about)) for name, about in targets)))
    return "".join(parts)


def paragraphs(text: str) -> str:
    """A docstring as Markdown paragraphs."""
    return "\n\n".join(prose(" ".join(part.split())) for part in inspect.cleandoc(text).split("\n\n"))


def _parameter(parameter: Any) -> tuple[str, str, str]:
    name = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.opts[0].upper()
    plain = parameter.default is None or parameter.default is False or parameter.default == ""
    default = "required" if parameter.required else "" if plain else code(parameter.default)
    return code(name), prose(parameter.help or ""), default


def settings_page() -> str:
    """Every setting as the variable that sets it, with type, default and meaning."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = str(field.default).replace(f"{PROJECT}/", "").replace(f"{PROJECT.parent}/", "../")
        kind = str(getattr(field.annotation, "__name__", field.annotation))
        rows.append((code(f"MUSICBOX_{name.upper()}"), code(kind), code(default), prose(settings_meanings()[name])))
    head = (
        "# Settings\n\nGenerated from `musicbox_lib/settings.py`. Each is an environment variable. Relative paths "
        "start at the directory of the process; the defaults of the schemas, jars and tests start at the project.\n\n"
    )
    return head + grid(("variable", "type", "default", "meaning"), rows)


@cache
def settings_meanings() -> dict[str, str]:
    """The sentence below each setting; raises KeyError later for a setting without one."""
    body = ast.parse(inspect.getsource(Settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    meanings = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            meanings[field.target.id] = " ".join(str(below.value.value).split())
    return meanings
