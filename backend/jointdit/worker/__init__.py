# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server side of docs/protocol.md: `python -m jointdit.worker`."""
