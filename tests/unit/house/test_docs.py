"""What the documents name exists: cited files and headings, commands, options, DAGs; and the reference is complete."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from musicbox_lib.contract.tables import tables
from musicbox_lib.settings import NOT_SETTINGS, PROJECT, Settings

sys.path.insert(0, str(PROJECT / "docs" / "site"))
import reference

GENERATED = reference.pages()
ROOTS = "bench|dags|docker|docs|examples|jobs|locks|musicbox_lib|schemas|tests"
CITED = re.compile(rf"(?<![\w./-])(?:{ROOTS})/[\w.*/-]*[\w*](?:#[\w-]+)?")
# Written by a run or a build, and not committed.
MADE = ("bench/results", *(f"docs/{name}" for name in GENERATED))
# A name in capitals, or a single capital, stands for any: jobs/NAME.py, policies/X.py.
ANY_NAME = re.compile(r"(?<![\w])[A-Z]+(?![\w])")


@cache
def texts() -> dict[str, str]:
    """Every file of the project that people write, by its path."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    kinds = (".md", ".py", ".yaml", ".toml", ".sql", ".Dockerfile", ".html", "Makefile")
    return {
        name: (PROJECT / name).read_text()
        for name in listed
        if name.endswith(kinds) and (PROJECT / name).is_file() and name != "tests/unit/house/test_docs.py"
    }


def pages() -> dict[str, str]:
    """The Markdown pages with the generated ones, by path; the changelog speaks of what was."""
    written = {name: text for name, text in texts().items() if name.endswith(".md") and name != "CHANGELOG.md"}
    return written | {f"docs/{name}": text for name, text in GENERATED.items()}


def headings(text: str) -> set[str]:
    return {reference.anchor(line.lstrip("# ")) for line in text.splitlines() if re.match(r"#+ ", line)}


def exists(cited: str) -> bool:
    """Whether a cited path names a file or folder; `docs/decisions/0002` names the one that begins so."""
    path, _, heading = cited.partition("#")
    if path.startswith(MADE):
        return True
    pattern = path if "*" in path else f"{path}*" if re.search(r"/\d{4}$", path) else path
    there = [place for place in PROJECT.glob(pattern) if place.exists()]
    if not there:
        # A module may be cited without its ending.
        return (PROJECT / f"{path}.py").is_file()
    return not heading or heading in headings(there[0].read_text())


def test_every_cited_file_and_heading_exists() -> None:
    missing = [
        f"{name}: {cited}"
        for name, text in texts().items()
        if name != "CHANGELOG.md"
        for cited in sorted(set(CITED.findall(text)))
        if not ANY_NAME.search(Path(cited.partition("#")[0]).stem) and not exists(cited)
    ]
    assert "\n".join(missing) == ""


def test_every_link_of_the_pages_leads_to_a_file_or_a_heading() -> None:
    broken = []
    for name, text in pages().items():
        for target in re.findall(r"(?<!!)\[[^\]^]*\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text):
            path, _, heading = (target[0] or target[1]).partition("#")
            if path.startswith(("http://", "https://")):
                continue
            place = (PROJECT / name).parent / path if path else PROJECT / name
            relative = str(place.resolve().relative_to(PROJECT))
            of_page = pages().get(relative)
            if of_page is None and not place.exists():
                broken.append(f"{name}: {path}")
            elif heading and heading not in headings(of_page or place.read_text()):
                broken.append(f"{name}: {path}#{heading}")
    assert "\n".join(broken) == ""


@pytest.mark.parametrize("phrase", ["QUALITY.md", "QUALITY 2", "[P]", "the seed's measure", "The seed's measure"])
def test_no_text_points_to_a_document_that_is_not_here(phrase: str) -> None:
    assert [name for name, text in texts().items() if phrase in text] == []


# ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def shown() -> list[tuple[str, str]]:
    """(page, command) for each command of `make`, `musicbox` and `airflow` in a block or in inline code."""
    commands = []
    for name, text in {**pages(), "musicbox_lib/cli/app.py": cli_help()}.items():
        blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S)
        rest = re.sub(r"^```[^\n]*\n.*?^```", "", text, flags=re.M | re.S)
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        lines += [re.sub(r"\s+", " ", code) for code in re.findall(r"`([^`]+)`", rest)]
        for line in lines:
            found = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S+ )?(?:\S*/)?((?:make|musicbox|airflow)\s+\S.*)", line)
            if found and not re.match(r"make\s+(setup:|\|)", found[1]):
                commands.append((name, found[1].split(" # ")[0].strip()))
    return commands


def cli_help() -> str:
    from typer.main import get_command

    from musicbox_lib.cli.app import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    return "\n\n".join(command.help or "" for command in commands.values())


def words(command: str) -> list[str]:
    return shlex.split(command.replace("…", "X"), comments=True)


def test_every_shown_make_target_and_variable_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    variables = set(re.findall(r"\$\(?\(?(?:or \$\()?([A-Z_]+)\)?", makefile))
    wrong = []
    for name, command in shown():
        target, *rest = words(command)[1:] if command.startswith("make") else ("help",)
        names = [word.split("=")[0] for word in rest if re.match(r"[A-Z_]+=", word)]
        if target not in targets or not set(names) <= variables:
            wrong.append(f"{name}: {command}")
    assert "\n".join(wrong) == ""


def test_every_shown_musicbox_command_and_option_exists() -> None:
    from typer.main import get_command

    from musicbox_lib.cli.app import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    wrong = []
    for name, command in shown():
        if not command.startswith("musicbox"):
            continue
        called, *rest = words(command)[1:]
        if called not in commands:
            wrong.append(f"{name}: {command}")
            continue
        options = {option for parameter in commands[called].params for option in parameter.opts}
        wrong += [f"{name}: {command}" for word in rest if word.startswith("--") and word not in options]
    assert "\n".join(wrong) == ""


@cache
def dags() -> dict[str, set[str]]:
    """The parameters of each DAG, by its id, read from the source: Airflow is in another environment."""
    found = {}
    for path in (PROJECT / "dags").glob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id == "DAG":
                params = next((word.value for word in call.keywords if word.arg == "params"), ast.Dict([], []))
                assert isinstance(params, ast.Dict)
                assert isinstance(call.args[0], ast.Constant)
                found[str(call.args[0].value)] = {
                    str(key.value) for key in params.keys if isinstance(key, ast.Constant)
                }
    return found


def test_every_shown_dag_and_its_configuration_exist() -> None:
    wrong = []
    for name, command in shown():
        if not command.startswith("airflow dags"):
            continue
        _, _, verb, *rest = words(command)
        named = [word for word in rest if word.startswith("musicbox_")]
        keys = set(re.findall(r'"(\w+)":', command))
        if verb not in {"trigger", "pause", "unpause", "test"} or any(
            dag not in dags() or not keys <= dags()[dag] for dag in named
        ):
            wrong.append(f"{name}: {command}")
    mentioned = {dag for text in pages().values() for dag in re.findall(r"`(musicbox_(?!lib)[a-z]+)`", text)}
    assert "\n".join(wrong) == ""
    assert mentioned == set(dags())


def test_every_bench_and_test_that_pages_name_is_one() -> None:
    benches = {name for text in pages().values() for name in re.findall(r"make bench NAME=(\w+)", text)}
    assert {"ingest", "quality"} <= benches
    assert [name for name in benches if not (PROJECT / "bench" / f"{name}.py").is_file()] == []
    tests = {name for text in pages().values() for name in re.findall(r"`(test_\w+)`", text)}
    written = "".join(text for name, text in texts().items() if name.startswith("tests/"))
    assert [name for name in tests if f"def {name}(" not in written] == []


# ── completeness ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_readme_fits_two_screens() -> None:
    assert len(texts()["README.md"].splitlines()) <= 150


def test_the_reference_has_every_table_column_job_command_and_setting() -> None:
    page = GENERATED["reference/tables.md"]
    for table in tables().values():
        assert f"### {table.name}\n" in page
        section = page.split(f"### {table.name}\n")[1].split("\n### ")[0]
        assert [name for name in table.column_names if f"| `{name}` |" not in section] == []
    jobs = {path.stem for path in (PROJECT / "jobs").glob("*.py")}
    assert jobs == set(re.findall(r"^## (\w+)$", GENERATED["reference/jobs.md"], re.M)) - {"DAGs"}
    assert [
        name for name in Settings.model_fields if f"`MUSICBOX_{name.upper()}`" not in GENERATED["reference/settings.md"]
    ] == []
    assert set(reference.settings_meanings()) == set(Settings.model_fields)


def test_every_setting_that_a_page_names_is_one() -> None:
    known = {f"MUSICBOX_{name.upper()}" for name in Settings.model_fields} | {*NOT_SETTINGS}
    named = {word for text in pages().values() for word in re.findall(r"`(MUSICBOX_[A-Z_]+)`", text)}
    assert named - known == set()


def test_every_measure_of_the_reports_has_its_formula() -> None:
    page = texts()["docs/reference/measures.md"]
    measures = {"hit_rate_3", "hit_rate_20", "ndcg_20", "mrr"}
    measures |= {f"skip_rate_{name}" for name in ("dm", "ips", "snips", "dr", "dr_clipped")}
    measures |= set(
        re.findall(
            r"'(\w+)'", next(c for c in tables()["reports.skip_prediction"].checks if c.name == "measure_known").sql
        )
    )
    counts = {"n", "n_users", "n_slates", "ild_space", "dt", "policy", "segment"}
    for report in ("reports.diversity", "reports.skip_rate"):
        measures |= {name for name in tables()[report].column_names if not name.endswith(("_lo", "_hi"))} - counts
    assert [name for name in sorted(measures) if f"`{name}`" not in page] == []


def test_every_decision_has_context_choice_and_consequence_under_its_number() -> None:
    for path in sorted((PROJECT / "docs" / "decisions").glob("*.md")):
        lines = path.read_text().splitlines()
        assert lines[0].startswith(f"# {path.name[:4]} "), path.name
        parts = [line for line in lines if line in ("## Context", "## Choice", "## Consequence")]
        assert parts == ["## Context", "## Choice", "## Consequence"], path.name
