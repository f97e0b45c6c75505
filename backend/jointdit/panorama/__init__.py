# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures with depth all around: the strip of the paper, and the whole sphere."""
