# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: the autoencoder and base of a small model, and the paper's second stage (LoRAs and joint layers on a frozen base)."""

STAGES = ("text", "autoencoder", "base", "joint", "estimating", "reading", "decoder")
"""Those of the embedded model's recipe, in their order."""

FINISHING = STAGES[-3:]
"""Those that change a finished model, each another part of it."""

RECIPES = ("embedded", "small")
"""Recipes by the names that the command line knows, as `recipe.recipe_named` has them."""
