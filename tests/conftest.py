# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No test sees or changes the models of the person who runs it."""

from __future__ import annotations

import os
import tempfile

os.environ["JOINTDIT_HOME"] = tempfile.mkdtemp(prefix="jointdit-home-")
