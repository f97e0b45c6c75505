# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A prompt to a Blender scene, on a machine where nothing is prepared: `python3.11 tools/scene.py "a house on a green hill"`.

Makes the environment on the first run. Further options go to `python -m jointdit_blender scene`; see --help.
"""

from __future__ import annotations

import subprocess
import sys

from environment import SetupError, blender_environment, check_libraries


def main(arguments: list[str]) -> int:
    """`arguments`: the prompt, then options of the headless program. Writes scene.blend and preview.png into the current folder."""
    if not arguments:
        print('Say what you want to see, for example: python3.11 tools/scene.py "a house on a green hill"', file=sys.stderr)
        return 2
    try:
        check_libraries()
        python = blender_environment("blender").ready()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    # The person's own options come last and win.
    options = ["--help"] if arguments[0] in ("-h", "--help") else ["--out", "scene.blend", "--render", "preview.png", "--prompt", *arguments]
    return subprocess.run([python, "-m", "jointdit_blender", "scene", *options]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
