# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much longer than on an idle machine everything may take: JOINTDIT_PATIENCE, else enough for two busy cores."""

from __future__ import annotations

import os

PATIENCE = float(os.environ.get("JOINTDIT_PATIENCE", "6"))
