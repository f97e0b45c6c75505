# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Four good starts, one click each."""

from __future__ import annotations

from .options import BuildOptions

TEMPLATES = {
    # Behind everything in the scene, whatever its camera does.
    "BACKDROP": BuildOptions(backdrop=10.0, look_through=False),
    # A set to put things into: level, in metres, with a floor that catches their shadows.
    "ROOM": BuildOptions(near=1.5, far=8.0, sky="keep", ground=1.6, floor=True),
    # All around the camera, and the light comes from the picture.
    "DOME": BuildOptions(geometry="dome", sky="keep", environment=True),
    "POINTS": BuildOptions(geometry="points", sky="keep"),
}
"""Options by template; the names are those of the panel's buttons."""
