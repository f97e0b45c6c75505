# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m jointdit` is the command `jointdit`; programs that start several processes name it so."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="jointdit")
