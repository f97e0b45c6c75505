# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs no Blender: frame folders, geometry, requests and the worker. Plain Python, tested with plain Python."""
