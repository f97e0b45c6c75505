# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks that can be chosen instead of described: words that are added to the prompt."""

from __future__ import annotations

STYLES = {
    "NONE": ("As Described", "Add nothing to the prompt", ""),
    "PHOTO": ("Photograph", "A photograph with natural light", "photograph, natural light, sharp focus, high detail"),
    "FILM": ("Film Still", "A frame of a film", "cinematic film still, dramatic light, wide shot"),
    "CONCEPT": ("Concept Art", "A painted backdrop of a game or film", "concept art, digital matte painting, atmospheric perspective"),
    "OIL": ("Oil Painting", "An oil painting with visible strokes", "oil painting on canvas, visible brush strokes"),
    "WATERCOLOR": ("Watercolor", "A watercolor on paper", "watercolor painting, soft washes on paper"),
    "ANIMATION": ("Animation Background", "The painted background of an animated film", "hand-painted animation background, clean shapes, soft colors"),
    "MINIATURE": ("Miniature", "A hand-made model on a table", "miniature diorama, hand-made models, studio light"),
}
"""By name: title, description, and the words."""


def styled(prompt: str, style: str) -> str:
    """The prompt with the words of a style; an empty prompt stays empty."""
    words, text = STYLES[style][2], prompt.strip()
    return f"{text.rstrip('.,;')}, {words}" if words and text else prompt


def style_of(prompt: str) -> tuple[str, str]:
    """(prompt, style) whose styled prompt this is."""
    for name, (_, _, words) in STYLES.items():
        if words and prompt.endswith(f", {words}"):
            return prompt.removesuffix(f", {words}"), name
    return prompt, "NONE"
