# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the model: the real worker with an engine that needs no torch. See `standin`."""
