"""The worlds that come with the project, a YAML file each; `default` first, the others say what differs from it."""

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Every world by name, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))
