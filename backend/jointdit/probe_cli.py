# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`jointdit train probe`: the classifier that `jointdit evaluate embedded` asks what pictures show."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("probe")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("runs/probe"), show_default=True, help="Where it is kept.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=2.0, show_default=True, help="How long it learns, broken-off runs included.")
@click.option("--device", default="auto", show_default=True, help="Where it learns: auto, cpu, cuda or mps.")
@click.option("--size", type=click.IntRange(32), default=256, show_default=True, help="Pixels a side of the rendered scenes.")
@click.option("--workers", type=click.IntRange(0), help="Processes that render; default: by the number of cores.")
def probe_command(folder: Path, minutes: float, device: str, size: int, workers: int | None) -> None:
    """Train the probe on procedural scenes. Run it again to go on with a run that was broken off, or with more minutes to go on longer."""
    import logging

    from .evaluation.probe_training import train_probe
    from .machine import device_named

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    found = train_probe(folder, str(device_named(device)), minutes, size, workers=workers)
    click.echo(f"Of what captions tell, the probe finds {100 * found.sure:.1f} % where it can judge. It is in {folder}: probe.safetensors, probe.json.")
