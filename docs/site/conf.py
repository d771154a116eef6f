"""The docs site: `make docs` builds it into .site/, without a network and with strict links.

Sphinx with MyST: pages are Markdown. Nothing on a page is loaded from elsewhere, and search works from the file system.
The pages of the reference are written into docs/reference before each build (`reference.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

project = "MusicBox"
author = "The MusicBox developers"
copyright = author  # noqa: A001 - the name that Sphinx reads
extensions = ["myst_parser"]
exclude_patterns = ["site"]
html_theme = "furo"
html_title = "MusicBox"
html_show_sphinx = False
html_copy_source = False
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
# Blocks without a language are terminal output and formulas.
highlight_language = "none"
# Every reference to a page, a heading or a file must resolve; -W makes it an error.
nitpicky = True


def setup(app: Sphinx) -> None:
    """Write the generated pages before Sphinx looks for its sources."""
    import reference

    reference.write(Path(app.srcdir))
