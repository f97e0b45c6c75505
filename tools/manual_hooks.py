# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks of MkDocs: pages that live beside what they describe are pages of the manual too, and links lead to them there."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {"model-card.md": "backend/jointdit/embedded/README.md", "results.md": "benchmarks/RESULTS.md"}
"""Names in the manual, and the files in the repository."""
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")


def on_files(files: Files, config: Any) -> Files:
    """Called by MkDocs once it knows the files in docs/."""
    for name, path in ELSEWHERE.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Called by MkDocs with the text of each page."""
    return moved(markdown, page.file.src_uri)


def moved(markdown: str, name: str) -> str:
    """The text of the page `name` of the manual with its links as they are within the manual."""
    folder = PurePosixPath(ELSEWHERE.get(name, f"docs/{name}")).parent
    names = {path: name for name, path in ELSEWHERE.items()}

    def link(match: re.Match[str]) -> str:
        target = os.path.normpath(folder / match[2]).replace("\\", "/")
        inside = names.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") and name in ELSEWHERE else "")
        return f"{match[1]}{inside or match[2]}{match[3] or ''}{match[4]}"

    return LINK.sub(link, markdown)
