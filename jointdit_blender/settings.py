# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to the .blend (on its scenes) and what belongs to the running session of Blender (on its window manager, not saved)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from . import gallery
from .building import BuildSettings, rounded
from .core.frame import Frame, NearFar
from .core.request import DIRECTIONS, Request
from .core.styles import STYLES, style_of, styled
from .scene.options import BuildOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

TASKS = (
    ("TEXT", "Text", "Make an image and its depth from a description"),
    ("IMAGE", "Image", "Find the depth of a picture"),
    ("DEPTH", "Depth", "Make an image that follows a depth picture"),
)
EXTENTS = (
    ("PICTURE", "Picture", "Make a picture as an ordinary camera sees it"),
    ("SPHERE", "360° Sphere", "Make everything around the camera, the sky above and the ground below too"),
    ("STRIP", "360° Strip", "Make a band all around along the horizon"),
)
PHOTOGRAPHS = (
    ("PICTURE", "Picture", "The picture is as an ordinary camera sees it"),
    ("SPHERE", "360° Photograph", "The picture shows everything around the camera and is twice as wide as high"),
)
QUALITIES = (
    ("DRAFT", "Draft", "8 steps: to find a seed and a prompt"),
    ("STANDARD", "Standard", "As many steps as the model takes by itself: good for most pictures"),
    ("FINE", "Fine", "40 steps: the last details"),
    ("CUSTOM", "Custom", "Choose the number of steps yourself"),
)
TEMPLATE_ITEMS = (
    ("BACKDROP", "Backdrop", "Generate and fit the picture to the scene's camera, to fill the view behind other objects"),
    ("ROOM", "Room", "Generate and stand the result on the ground in true size, with a floor for other objects"),
    ("DOME", "Dome", "Generate everything around the camera, to light and surround the scene"),
    ("POINTS", "Points", "Generate a cloud of points"),
)
"""What `scene.templates` stands for."""
STYLE_ITEMS = tuple((name, title, text) for name, (title, text, _) in STYLES.items())
TASK_NAMES = {"TEXT": "joint", "IMAGE": "image_to_depth", "DEPTH": "depth_to_image"}
PANORAMAS = {"joint": "panorama", "image_to_depth": "panorama_depth"}
NO_BACKDROP = "A panorama surrounds the camera and is no backdrop: choose Own Camera under Placing"
STEPS = {"DRAFT": 8, "STANDARD": None, "FINE": 40}
SEED_MAX = 2**31 - 1
RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"}
"""A path may begin with //, the folder of the .blend."""


class JOINTDIT_PG_settings(BuildSettings, bpy.types.PropertyGroup):
    """What the next result is made from, and how it is built."""

    task: EnumProperty(name="Task", description="What you start from", items=TASKS)
    prompt: StringProperty(name="Prompt", description="Describe the picture that you want", options={"TEXTEDIT_UPDATE"})
    image: StringProperty(name="Image", description="The picture whose depth you want", subtype="FILE_PATH", options=RELATIVE)
    disparity: StringProperty(name="Depth Picture", description="The picture to follow, white where it is near", subtype="FILE_PATH", options=RELATIVE)
    style: EnumProperty(name="Style", description="Words about the look that are added to the prompt", items=STYLE_ITEMS)
    count: IntProperty(
        name="Results",
        description="How many results are made, each with the next seed; the first is built, the others are kept in History",
        default=1,
        min=1,
        max=64,
        soft_max=8,
    )
    extent: EnumProperty(name="Extent", description="How much of the surroundings is made", items=EXTENTS)
    photograph: EnumProperty(name="Extent", description="How much of the surroundings the picture shows", items=PHOTOGRAPHS)
    up: StringProperty(name="Up", description="What is seen above; empty: the sky, or indoors the ceiling")
    down: StringProperty(name="Down", description="What is seen below; empty: the ground, or indoors the floor")
    front: StringProperty(name="Front", description="What is seen ahead; empty: what the prompt says")
    right: StringProperty(name="Right", description="What is seen to the right; empty: what the prompt says")
    back: StringProperty(name="Back", description="What is seen behind the camera; empty: what the prompt says")
    left: StringProperty(name="Left", description="What is seen to the left; empty: what the prompt says")
    quality: EnumProperty(name="Quality", description="More steps take longer and give finer pictures", items=QUALITIES, default="STANDARD")
    steps: IntProperty(name="Steps", description="Number of sampling steps", default=20, min=1, max=1000, soft_max=60)
    seed: IntProperty(name="Seed", description="The same seed and settings give the same result", default=0, min=0, max=SEED_MAX)
    use_size: BoolProperty(name="Custom Size", description="Choose the size of the image; otherwise the picture given or the model decides")
    width: IntProperty(name="Width", description="Width of the image", default=512, min=16, max=4096, soft_max=2048, step=16, subtype="PIXEL")
    height: IntProperty(
        name="Height",
        description="Height of the image; a sphere is twice as wide",
        default=512,
        min=16,
        max=4096,
        soft_max=2048,
        step=16,
        subtype="PIXEL",
    )
    use_guidance: BoolProperty(name="Custom Guidance", description="Choose how strictly the image follows the prompt; otherwise the model decides")
    guidance: FloatProperty(name="Guidance", description="How strictly the image follows the prompt", default=3.5, min=0.0, max=100.0, soft_max=10.0)
    near: FloatProperty(name="Near", description="Distance of the nearest pixel", default=2.0, min=0.001, soft_max=100.0, subtype="DISTANCE")
    far: FloatProperty(name="Far", description="Distance of the farthest pixel", default=40.0, min=0.002, soft_max=1000.0, subtype="DISTANCE")
    horizontal_angle: FloatProperty(
        name="Field of View",
        description="Angle between the left and the right edge of the image",
        default=math.radians(55.0),
        min=math.radians(1.0),
        max=math.radians(175.0),
        subtype="ANGLE",
    )

    def nothing_given(self) -> str:
        """What has to be given before anything can be made from it, as a sentence, or nothing. Cheap enough for poll()."""
        if self.task == "TEXT" and not self.prompt.strip():
            return "Describe the picture first: the prompt is empty"
        if self.task == "IMAGE" and not self.image:
            return "Choose the picture first whose depth you want"
        if self.task == "DEPTH" and not self.disparity:
            return "Choose the depth picture first that the image should follow"
        return ""

    def missing(self) -> str:
        """What has to be given or mended before Generate, as a sentence, or nothing. Cheap enough for poll()."""
        if nothing := self.nothing_given():
            return nothing
        if not self.near < self.far:
            return "Near must be smaller than far"
        if self.panorama and self.placing == "BACKDROP":
            return NO_BACKDROP
        return ""

    @property
    def panorama(self) -> str:
        """The kind of panorama that is to be made: sphere or strip; nothing for an ordinary picture."""
        extent = {"TEXT": self.extent, "IMAGE": self.photograph}.get(self.task, "PICTURE")
        return "" if extent == "PICTURE" else extent.lower()

    def requests(self, model: str) -> list[Request]:
        """The requests that these settings stand for, each with the next seed; raises `RequestError`."""
        first = self.request(model)
        return [replace(first, seed=(first.seed + number) % (SEED_MAX + 1)) for number in range(self.count)]

    def request(self, model: str, prompt: str | None = None) -> Request:
        """The first request that these settings stand for, with another prompt if one is given; raises `RequestError`."""
        words = self.prompt if prompt is None else prompt
        sphere, task = self.panorama == "sphere", TASK_NAMES[self.task]
        return Request(
            task=PANORAMAS[task] if self.panorama else task,
            prompt=words if self.task == "IMAGE" else styled(words, self.style),
            image=_path(self.image),
            disparity=_path(self.disparity),
            width=(2 * self.height if sphere else self.width) if self.use_size else None,
            height=self.height if self.use_size else None,
            horizontal_angle=self.degrees,
            kind=self.panorama or "sphere",
            parts={direction: getattr(self, direction) for direction in DIRECTIONS} if sphere else {},
            **self._shared(model),
        )

    def request_around(self, front: Path, prompt: str, model: str) -> Request:
        """The request for a sphere around a frame, of the seed, the quality and the distances of these settings; raises `RequestError`."""
        return Request(task="panorama", prompt=prompt, front=front, **self._shared(model))

    def _shared(self, model: str) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "steps": self.steps if self.quality == "CUSTOM" else STEPS[self.quality],
            "guidance": self.guidance if self.use_guidance else None,
            "model": model,
            "preview": not bpy.app.background,  # where somebody looks
            "near": rounded(self.near),
            "far": rounded(self.far),
        }

    def recall(self, request: Request) -> None:
        """Show what was asked for; the model is a matter of the preferences."""
        around = request.panorama
        self.task = next(name for name, task in TASK_NAMES.items() if request.task in (task, PANORAMAS.get(task)))
        self.prompt, self.style = style_of(request.prompt)
        self.image, self.disparity = str(request.image or ""), str(request.disparity or "")
        self.extent = request.kind.upper() if around and self.task == "TEXT" else "PICTURE"
        self.photograph = "SPHERE" if around and self.task == "IMAGE" else "PICTURE"
        for direction in DIRECTIONS:
            setattr(self, direction, request.parts.get(direction, ""))
        self.seed, self.count = min(request.seed, SEED_MAX), 1
        self.quality = next((name for name, steps in STEPS.items() if steps == request.steps), "CUSTOM")
        for switch, names in (("", ("steps",)), ("use_guidance", ("guidance",)), ("use_size", ("width", "height"))):
            values = [getattr(request, name) for name in names]
            if switch:
                setattr(self, switch, None not in values)
            for name, value in zip(names, values, strict=True):
                if value is not None:
                    setattr(self, name, value)
        self.near, self.far = request.near, request.far
        self.horizontal_angle = math.radians(request.horizontal_angle)

    def recall_view(self, frame: Frame) -> None:
        """Show how a frame is seen, where nothing else of it is known."""
        if isinstance(frame.mapping, NearFar):
            self.near, self.far = frame.mapping.near, frame.mapping.far
        if frame.camera.projection == "perspective":
            self.horizontal_angle = math.radians(frame.camera.horizontal_angle)

    @property
    def degrees(self) -> float:
        """The horizontal field of view. Blender keeps 32 bits of it in radians: 55 degrees would come back as 55.0000013."""
        return round(math.degrees(self.horizontal_angle), 4)

    def adopt(self, options: BuildOptions) -> None:
        """Show these options. Distances that they leave to the frame become what they are in a new file."""
        super().adopt(options)
        for name, value in (("near", options.near), ("far", options.far)):
            if value is None:
                self.property_unset(name)
            else:
                setattr(self, name, value)
        if options.horizontal_angle is not None:
            self.horizontal_angle = math.radians(options.horizontal_angle)


class JOINTDIT_PG_job(bpy.types.PropertyGroup):
    """One row of the Jobs panel: a copy of what `session` knows, made when it changes."""

    job_id: IntProperty()
    title: StringProperty()
    seed: StringProperty()
    state: StringProperty()
    phase: StringProperty()
    step: IntProperty()
    total: IntProperty()
    elapsed: FloatProperty()
    remaining: FloatProperty(default=-1.0)
    again: BoolProperty()
    preview: IntProperty()
    preview_depth: IntProperty()
    message: StringProperty()
    finished: BoolProperty()

    @property
    def factor(self) -> float:
        """How far the phase is, 0 to 1."""
        return min(self.step / self.total, 1.0) if self.total > 0 else 0.0


class JOINTDIT_PG_result(bpy.types.PropertyGroup):
    """One result of the History panel: a copy of what `gallery` knows. Its name is that of its folder."""

    title: StringProperty()
    facts: StringProperty()
    icon: IntProperty()


def _searched(_state: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    gallery.current().show()


class JOINTDIT_PG_session(bpy.types.PropertyGroup):
    """What the panels show of the running session."""

    jobs: CollectionProperty(type=JOINTDIT_PG_job)
    missing: StringProperty(description="What is missing on this machine, as a sentence")
    results: CollectionProperty(type=JOINTDIT_PG_result)
    search: StringProperty(
        name="Search", description="Words that the prompt or the settings of a result must have", options={"TEXTEDIT_UPDATE"}, update=_searched
    )
    chosen: StringProperty(name="Chosen Result", description="The result whose details are shown")
    page: IntProperty(default=1, min=1, update=_searched)
    found: IntProperty()
    all_results: IntProperty()
    problem: StringProperty(description="Why there are no results, as a sentence")


CLASSES: Sequence[type] = (JOINTDIT_PG_settings, JOINTDIT_PG_job, JOINTDIT_PG_result, JOINTDIT_PG_session)


def register() -> None:
    """Add the properties; the classes are registered already."""
    bpy.types.Scene.jointdit = PointerProperty(type=JOINTDIT_PG_settings, name="JointDiT")  # type: ignore[attr-defined, func-returns-value]
    bpy.types.WindowManager.jointdit = PointerProperty(  # type: ignore[attr-defined, func-returns-value]
        type=JOINTDIT_PG_session, name="JointDiT", options={"SKIP_SAVE"}
    )


def unregister() -> None:
    """Take the properties away."""
    del bpy.types.WindowManager.jointdit  # type: ignore[attr-defined]
    del bpy.types.Scene.jointdit  # type: ignore[attr-defined]


def _path(text: str) -> Path | None:
    """A path that a person typed or chose; // stands for the folder of the .blend."""
    return Path(bpy.path.abspath(text)) if text else None
