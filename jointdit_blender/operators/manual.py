# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual, which comes with the add-on: no network is needed to read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.props import StringProperty

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

CODE = Path(__file__).resolve().parents[1]
PLACES = (CODE / "docs", CODE.parent / "dist/manual", CODE.parent / "docs")
"""Where the manual can be: in the extension; in a checkout, built or as its text."""
START = "index"


def find_page(name: str, places: tuple[Path, ...] = PLACES) -> Path | None:
    """The file of a page, or of the first page where there is none of that name. None: this copy has no manual."""
    files = (place / f"{page}{suffix}" for page in (name, START) for place in places for suffix in (".html", ".md"))
    return next((file for file in files if file.is_file()), None)


class JOINTDIT_OT_open_manual(bpy.types.Operator):
    """Read the manual of JointDiT, which lies on this computer"""

    bl_idname = "jointdit.open_manual"
    bl_label = "Open Manual"

    page: StringProperty(name="Page", description="Name of a page of the manual", default=START, options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, _context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Called by Blender."""
        page = find_page(self.page)
        if page is None:
            self.report({"ERROR"}, "This copy of the add-on has no manual: install it anew.")
            return {"CANCELLED"}
        bpy.ops.wm.url_open(url=page.as_uri())
        return {"FINISHED"}


CLASSES = (JOINTDIT_OT_open_manual,)
