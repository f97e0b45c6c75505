# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the worker on this process's standard input and output."""

from __future__ import annotations

import os

from jointdit.allocator import let_segments_grow
from jointdit.worker.engine import JointDiTEngine
from jointdit.worker.server import Server
from jointdit.worker.stdio import claim


def main() -> None:
    """Serve until the parent says `exit` or is gone."""
    # First of all: nothing that is imported later may print between the answers.
    requests, answers = claim()
    let_segments_grow()
    code = Server(JointDiTEngine(), requests, answers).run()
    # No interpreter tear-down: a thread still reads standard input, and freeing CUDA politely may take seconds or hang.
    os._exit(code)


if __name__ == "__main__":
    main()
