# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a frame is built, as Blender properties: the same words in the panel, in the operators that build, and on the command line."""

from __future__ import annotations

from collections.abc import Iterator

from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty

from .scene.options import BuildOptions

BUILDS = (
    ("RELIEF", "Relief", "Build a surface with a vertex for every pixel"),
    ("POINTS", "Points", "Build a point cloud with a point for every pixel"),
    ("DOME", "Dome", "Build a surface that is closed all around the camera"),
)
TORN_FACES = (
    ("CUT", "Cut", "Leave torn faces out: open beside things, and nothing is invented"),
    ("FILL", "Fill", "Move torn faces back to what lies behind: closed as seen from the camera"),
    ("KEEP", "Keep", "Keep every face: one whole skin, stretched between near and far"),
)
SKIES = (
    ("AUTO", "Automatic", "Put a sky, if there is one, on a far sheet"),
    ("KEEP", "Keep", "Leave the sky in the surface"),
    ("REMOVE", "Remove", "Leave the sky out"),
    ("DOME", "Far Dome", "Put the sky on a sphere around everything, continued where the picture ends"),
    ("WORLD", "World", "Put the sky on the world, where it also gives light"),
)
PLACINGS = (
    ("CAMERA", "Own Camera", "Make a camera that sees exactly the picture"),
    ("BACKDROP", "Backdrop", "Fit the picture to the scene's camera, so that it fills the view"),
)
GEOMETRIES = {"RELIEF": "mesh", "POINTS": "points", "DOME": "dome"}


class BackdropSettings:
    """How a frame is fitted to the scene's camera."""

    distance: FloatProperty(
        name="Distance",
        description="From the scene's camera to the nearest pixel of the backdrop",
        default=5.0,
        min=0.001,
        soft_max=1000.0,
        subtype="DISTANCE",
    )
    use_focal_length: BoolProperty(name="Set Focal Length", description="Give the scene's camera another focal length; otherwise it stays as it is")
    focal_length: FloatProperty(
        name="Focal Length", description="The focal length that the scene's camera gets", default=50.0, min=1.0, soft_max=300.0, unit="CAMERA"
    )
    follow: BoolProperty(name="Follow", description="Let the backdrop move and turn with the camera", default=True)


class GroundSettings:
    """How a frame is put on the ground."""

    camera_height: FloatProperty(
        name="Camera Height",
        description="Height of the picture's camera above the ground, which tells the true size of everything",
        default=1.7,
        min=0.001,
        soft_max=100.0,
        subtype="DISTANCE",
    )


class BuildSettings(BackdropSettings, GroundSettings):
    """Properties for a PropertyGroup or an Operator. How distances are found (near, far, field of view) is the frame's own matter."""

    build: EnumProperty(name="Build", description="What is built from the result", items=BUILDS)
    step: IntProperty(name="Step", description="Pixels between two vertices; more is coarser and faster", default=1, min=1, soft_max=16)
    gamma: FloatProperty(
        name="Gamma", description="Above 1 brings the middle distances farther away, below 1 nearer", default=1.0, min=0.05, soft_min=0.2, soft_max=5.0
    )
    tear: FloatProperty(
        name="Tear",
        description="Jump in depth, relative to the distance, at which the surface is torn",
        default=0.06,
        min=0.0,
        soft_max=1.0,
        precision=3,
    )
    torn: EnumProperty(name="Torn Faces", description="What becomes of faces that jump in depth", items=TORN_FACES, default="FILL")
    clean: BoolProperty(name="Clean Edges", description="Move blurred pixels at borders to one side and remove loose specks", default=True)
    back_layer: BoolProperty(name="Back Layer", description="Continue behind things what stands behind them, for small moves of the camera", default=True)
    sky: EnumProperty(name="Sky", description="Where the sky goes", items=SKIES, default="AUTO")

    placing: EnumProperty(name="Placing", description="Where the result stands", items=PLACINGS)
    use_ground: BoolProperty(name="Align Ground", description="Find the ground, make it level and put it at height 0")
    floor: BoolProperty(name="Floor", description="Add a plane at height 0 that only shows the shadows of what stands on it")

    relit: BoolProperty(name="Relit", description="Let the scene's lights shine on the picture; otherwise it looks like itself in any light")
    environment: BoolProperty(name="Light the Scene", description="Surround the scene with the picture, so that it lights other objects")
    pack: BoolProperty(name="Pack Pictures", description="Keep the pictures inside the .blend; otherwise they stay files in the frame folder", default=True)

    @staticmethod
    def names() -> Iterator[str]:
        """The names of all these properties."""
        for base in BuildSettings.__mro__:
            yield from getattr(base, "__annotations__", ())

    def build_options(self) -> BuildOptions:
        """What these properties stand for."""
        backdrop = self.placing == "BACKDROP"
        return BuildOptions(
            geometry=GEOMETRIES[self.build],
            step=self.step,
            gamma=rounded(self.gamma),
            tear=rounded(self.tear),
            torn=self.torn.lower(),
            clean=self.clean,
            back_layer=self.back_layer,
            sky=self.sky.lower(),
            backdrop=rounded(self.distance) if backdrop else None,
            focal_length=rounded(self.focal_length) if backdrop and self.use_focal_length else None,
            follow=self.follow,
            ground=rounded(self.camera_height) if self.use_ground and not backdrop else None,
            floor=self.floor and not backdrop,
            relit=self.relit,
            environment=self.environment,
            pack=self.pack,
        )

    def adopt(self, options: BuildOptions) -> None:
        """Show these options; whether pictures are packed stays as the person chose it, and numbers that are not used stay as well."""
        self.build = next(name for name, geometry in GEOMETRIES.items() if geometry == options.geometry)
        self.torn, self.sky = options.torn.upper(), options.sky.upper()
        for name in ("step", "gamma", "tear", "clean", "back_layer", "follow", "floor", "relit", "environment"):
            setattr(self, name, getattr(options, name))
        self.placing = "CAMERA" if options.backdrop is None else "BACKDROP"
        self.use_focal_length, self.use_ground = options.focal_length is not None, options.ground is not None
        numbers = {"distance": options.backdrop, "focal_length": options.focal_length, "camera_height": options.ground}
        for name, value in numbers.items():
            if value is not None:
                setattr(self, name, value)


def rounded(value: float) -> float:
    """Blender keeps 32 bits of a number: 0.06 would come back as 0.05999999865889549."""
    return float(f"{value:.7g}")
