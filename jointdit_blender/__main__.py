# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m jointdit_blender scene …` (or `batch`, `render-set`, `doctor`), with Blender as a Python module."""

import sys


def main() -> int:
    """Returns the exit code."""
    try:
        import bpy
    except ModuleNotFoundError:
        print("jointdit: This Python has no Blender in it; install it with “pip install bpy” or use the Blender program.", file=sys.stderr)
        return 1
    except ImportError as error:
        # The wheel is there, but a library of the system is not.
        print(f"jointdit: Blender cannot be loaded ({error}). Install that library with your system's package manager.", file=sys.stderr)
        return 1
    from .headless import command

    # The person's own preferences and start-up file have no part in this.
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
