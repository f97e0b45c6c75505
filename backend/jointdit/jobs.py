# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job, from what a person asks for to a frame folder on disk: used by the command line and by the worker alike."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError, JointDiTError
from .memory import PLANS
from .models import AnyModel, Models
from .panorama.asked import check_asked
from .previews import preview_folder, save_preview
from .wishes import COMPILING, Lora, Wish

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from .frame import Front
    from .panorama.make import Preview
    from .pipeline import JointDiTPipeline

TASKS = ("joint", "image_to_depth", "depth_to_image", "panorama", "panorama_depth")
LARGEST_SIDE = 8192
MOST_STEPS = 1000
_PATHS = ("output", "image", "disparity", "front")
# How torch, CUDA's libraries and the system say that memory ran out.
SHORTAGES = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


@dataclass(frozen=True)
class Job:
    """Everything that decides a result. Names and units are those of docs/protocol.md.

    `width` and `height` of None come from the picture given, else from the model; `guidance` and `horizontal_angle` of None are the model's own.
    Angles are degrees, distances metres. `memory_plan` is one of `memory.PLANS` or "auto"; `compile` "auto", "on" or "off"; `step_cache` the relative change
    under which a step is taken from the one before (an approximation; 0 is off).

    Of a panorama: `kind` "sphere" or "strip", the number of `views` of a sphere (None is the default), `parts` of the prompt for directions, the frame
    folder of a `front` view that is there already, and the `route` by which a sphere is painted, "views" or "latents".
    """

    task: str
    output: Path
    prompt: str = ""
    image: Path | None = None
    disparity: Path | None = None
    width: int | None = None
    height: int | None = None
    seed: int = 0
    steps: int = 20
    guidance: float | None = None
    model: str = "embedded"
    near: float = 2.0
    far: float = 40.0
    horizontal_angle: float | None = None
    preview: bool = False
    memory_plan: str = "auto"
    compile: str = "auto"
    step_cache: float = 0.0
    loras: tuple[Lora, ...] = ()
    kind: str = "sphere"
    views: int | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    front: Path | None = None
    route: str = "views"

    def __post_init__(self) -> None:
        """Refuse what cannot be used, with a sentence (`InputError`)."""
        # Half a surrogate pair, as broken text brings along, can be written to no file.
        object.__setattr__(self, "prompt", self.prompt.encode("utf-8", "replace").decode())
        if self.task not in TASKS:
            raise InputError(f"There is no task {self.task!r}; choose one of {', '.join(TASKS)}.")
        if self.task == "image_to_depth" and self.image is None:
            raise InputError("Depth of an image was asked for, but no image was given. Choose an image.")
        if self.task == "depth_to_image" and self.disparity is None:
            raise InputError("An image for a disparity was asked for, but no disparity was given. Choose a disparity map.")
        if self.task == "panorama_depth" and self.image is None:
            raise InputError("Depth of a photograph of the whole sphere was asked for, but none was given. Choose an image.")
        if self.task in ("joint", "panorama") and not self.prompt.strip():
            raise InputError("The prompt is empty. Describe what you want to see.")
        for name in ("width", "height"):
            _within(name, getattr(self, name), 16, LARGEST_SIDE, "pixels")
        _within("number of steps", self.steps, 1, MOST_STEPS)
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("guidance", self.guidance, 0, 100)
        _within("field of view", self.horizontal_angle, 1, 175, "degrees")
        _within("near distance", self.near, 1e-6, 1e9, "metres")
        _within("far distance", self.far, 1e-6, 1e9, "metres")
        _within("threshold of the step cache", self.step_cache, 0, 1)
        if self.task == "panorama_depth" and (self.kind != "sphere" or self.route != "views" or self.parts or self.front):
            raise InputError("The depth of a photograph is found by views of the sphere: kind, route, directions and a front view have no use there.")
        if not self.panorama and (self.kind, self.route, self.views, dict(self.parts), self.front) != ("sphere", "views", None, {}, None):
            raise InputError(f"Kind, views, parts, front and route belong to panoramas; the task {self.task} makes a single picture.")
        if self.task == "panorama" and self.image is not None:
            raise InputError("A panorama is made from a prompt. For the depth of a photograph choose panorama_depth; to go on from a frame give it as front.")
        check_asked(self.kind, self.route, self.views, self.parts, self.front)
        if self.compile not in COMPILING:
            raise InputError(f"Compiling can be {', '.join(COMPILING)}, not {self.compile!r}.")
        if self.memory_plan not in ("auto", *PLANS):
            raise InputError(f"There is no memory plan {self.memory_plan!r}; choose auto or one of {', '.join(PLANS)}.")
        if self.near >= self.far:
            raise InputError(f"The near distance ({self.near:g} m) must be smaller than the far distance ({self.far:g} m).")

    @property
    def panorama(self) -> bool:
        """Whether the result surrounds the camera."""
        return self.task in ("panorama", "panorama_depth")

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Job:
        """A job from the parameters of a `generate` request; absent or null ones take the defaults. Raises `InputError` with a sentence."""
        known = {field.name: field.type for field in fields(cls)}
        unknown = sorted(set(params) - set(known))
        if unknown:
            raise InputError(f"A job has no setting {unknown[0]!r}. Known are: {', '.join(known)}.")
        values = {name: _typed(name, known[name], value) for name, value in params.items() if value is not None}
        for name in ("task", "output"):
            if name not in values:
                raise InputError(f"The job does not say its {name}.")
        return cls(**values)


def _typed(name: str, kind: str, value: Any) -> Any:
    """Check the JSON type of one setting. `kind` is the annotation of the field."""
    if name == "loras":
        return _loras(value)
    if name == "parts":
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise InputError("The parts of a prompt must be an object that gives directions a text each.")
        return dict(value)
    if name in _PATHS:
        if not isinstance(value, str) or not value or "\0" in value:
            raise InputError(f"The {name} of a job must be a path, not {value!r}.")
        return Path(value)
    wanted = {"str": str, "int": int, "float": (int, float), "bool": bool}[kind.split(" | ")[0]]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise InputError(f"The {name} of a job must be {'a number' if wanted is not str else 'a text'}, not {value!r}.")
    return value


def _loras(value: Any) -> tuple[Lora, ...]:
    """LoRAs from JSON: a list of objects with `path`, `strength` (1) and `branch` ("both")."""
    if not isinstance(value, list) or not all(isinstance(x, dict) and isinstance(x.get("path"), str) for x in value):
        raise InputError("The LoRAs of a job must be a list of objects with a path, a strength and a branch.")
    found = []
    for x in value:
        strength, branch = x.get("strength", 1.0), x.get("branch", "both")
        if set(x) - {"path", "strength", "branch"} or isinstance(strength, bool) or not isinstance(strength, (int, float)) or not isinstance(branch, str):
            raise InputError(f"The LoRA {x['path']} must have a strength that is a number and a branch that is a text, and nothing else.")
        found.append(Lora(Path(x["path"]), float(strength), branch))
    return tuple(found)


def _within(what: str, value: float | None, low: float, high: float, unit: str = "") -> None:
    if value is not None and not (math.isfinite(value) and low <= value <= high):
        raise InputError(f"The {what} must lie between {low:g} and {high:g}{unit and ' ' + unit}; {value:g} was asked for.")


@dataclass(frozen=True)
class Progress:
    """`phase` as in docs/protocol.md; `step` of `total` within the phase; `preview` is a NPY file or None."""

    phase: str
    step: int
    total: int
    preview: Path | None = None


@dataclass(frozen=True)
class Result:
    """The frame folder that was written, and sentences the person should read."""

    frame: Path
    warnings: tuple[str, ...]


def generate(job: Job, models: Models, report: Callable[[Progress], None]) -> Result:
    """Run one job. `report` is called at every phase and step; it may raise `CancelledError` to stop the job.

    Raises `InputError`, `CheckpointError`, `OutputError` or another `JointDiTError`; nothing half-written stays behind.
    """
    from .frame import check_output

    check_output(job.output)
    model = models.find(job.model)
    began = time.perf_counter()
    report(Progress("loading", 0, 1))
    known = _read_known(job)
    size = model_size(job, known, model.index.get("native_size") or 1024)
    wish = Wish(*size, job.steps, job.memory_plan, job.loras, job.compile)
    remarks: tuple[str, ...] = ()
    frugal = False
    while True:
        try:
            return _attempt(job, model, models, wish, known, report, began, remarks, frugal)
        except (MemoryError, RuntimeError) as error:
            if job.panorama and not frugal and _is_shortage(error):
                # One window after the other takes longer, but costs no precision as a smaller plan does.
                traceback.clear_frames(error.__traceback__)
                models.unload()
                frugal = True
                continue
            wish, remark = _second_try(error, wish, models, first=not remarks)
            remarks = (remark,)


def _attempt(
    job: Job, model: AnyModel, models: Models, wish: Wish, known: _Known, report: Callable[[Progress], None], began: float,
    remarks: tuple[str, ...], frugal: bool,
) -> Result:  # fmt: skip
    """Load the model as wished and run the job; `frugal` takes as little memory as can be."""
    pipeline = models.pipeline(model, wish)
    loaded = time.perf_counter()
    report(Progress("encoding", 0, 1))
    with preview_folder(job.preview) as previews:
        return _run(job, model, models, pipeline, known, report, previews, (began, loaded), remarks, frugal)


def _second_try(error: MemoryError | RuntimeError, wish: Wish, models: Models, first: bool) -> tuple[Wish, str]:
    """What to try once after a job failed for want of memory or in a compiler, and a sentence on it; raises where there is nothing to try.

    The model is given up meanwhile: what is tried starts with the memory free.
    """
    from .speed import is_compile_error

    shortage, plan = _is_shortage(error), models.plan
    compiler = models.compiled and is_compile_error(error)
    if not (shortage or compiler):
        raise error
    # The error's frames hold the weights as long as the error is there.
    traceback.clear_frames(error.__traceback__)
    models.unload()
    if first and compiler:
        models.compiler_failed = True
        return wish, f"The model could not be compiled here ({type(error).__name__}) and ran as it is, which is slower."
    sentence = "There is not enough memory for this size. Choose a smaller size, or close other programs."
    if not first or plan is None or plan.name == "cpu" or wish.plan != "auto":
        raise JointDiTError(sentence) from error
    return replace(wish, smaller_than=plan.name), f"The memory plan {plan.name} ran out of memory; the next smaller one was used."


def _is_shortage(error: BaseException) -> bool:
    """Whether an error means that memory ran out, of the machine or of its card."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(phrase in text for phrase in SHORTAGES)


@dataclass(frozen=True)
class _Known:
    """The picture that a task starts from: a PIL image, or a disparity (H, W) in [0, 1], or a frame as a front view, or nothing of these."""

    image: Image.Image | None = None
    disparity: np.ndarray | None = None
    front: Front | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height), or None for joint generation."""
        if self.image is not None:
            return self.image.size
        return None if self.disparity is None else self.disparity.shape[::-1]


def _read_known(job: Job) -> _Known:
    from .pictures import checked_disparity, read_disparity, read_image

    if job.front is not None:
        from .frame import read_perspective

        return _Known(front=read_perspective(job.front))
    if job.task in ("image_to_depth", "panorama_depth"):
        known, path = _Known(image=read_image(job.image)), job.image
    elif job.task == "depth_to_image":
        known, path = _Known(disparity=checked_disparity(read_disparity(job.disparity), job.disparity.name)), job.disparity
    else:
        return _Known()
    if min(known.size) < 16:
        raise InputError(f"{path.name} has only {known.size[0]} x {known.size[1]} pixels; the smallest side is 16. Choose a larger picture.")
    return known


def model_size(job: Job, known: _Known, native: int) -> tuple[int, int]:
    """(width, height) of the largest picture that the model sees."""
    if not job.panorama:
        return working_size(job, known.size, native)
    from .panorama import sizes

    return sizes.model_size(job, sizes.job_size(job, known.size, native))


def working_size(job: Job, known: tuple[int, int] | None, native: int) -> tuple[int, int]:
    """(width, height) at which the model works: what was asked for, else the picture's size, else the model's own.

    A picture with far more pixels than the model was trained on is worked on at the model's own number of pixels, in the picture's proportions.
    """
    if known is None:
        return job.width or native, job.height or native
    if job.width and job.height:
        return job.width, job.height
    width, height = known
    if job.width or job.height:  # one side given: keep the proportions
        scale = job.width / width if job.width else job.height / height
    else:
        scale = min(1.0, math.sqrt(native**2 / (width * height)))
        scale = 1.0 if scale > 0.8 else scale
    return max(16, round(width * scale)), max(16, round(height * scale))


@dataclass(frozen=True)
class _Made:
    """What the model made: an image, its disparity (H, W) in [0, 1], the size in pixels at which it worked, and what frame.json says of them alone."""

    image: Image.Image
    disparity: np.ndarray
    worked: tuple[int, int]
    about: dict[str, Any]


def _run(
    job: Job, model: AnyModel, models: Models, pipeline: JointDiTPipeline, known: _Known,
    report: Callable[[Progress], None], previews: Path | None, times: tuple[float, float], remarks: tuple[str, ...],
    frugal: bool,
) -> Result:  # fmt: skip
    from .frame import folder_name, write_frame
    from .speed import set_step_cache

    began, loaded = times
    # The windows of a panorama take turns within a step: one's last step is not the other's.
    set_step_cache(pipeline.transformer, 0.0 if job.panorama else job.step_cache)
    revision = model.revision()  # before the work: files may be moved meanwhile
    guidance = pipeline.config.default_guidance if job.guidance is None else job.guidance

    # A sphere that is painted as one picture gets its depth afterwards, in as many steps again.
    steps = job.steps * (2 if job.route == "latents" else 1)

    def on_step(step: int, preview: Preview) -> None:
        file = None
        if previews is not None:
            # Two files in turn: the one just announced is not overwritten at once.
            file = save_preview(*preview(), previews / f"{step % 2}.npy")
        report(Progress("sampling", step + 1, steps, file))
        if step + 1 == steps:
            report(Progress("decoding", 0, 1))

    def on_batch(step: int) -> None:
        report(Progress("sampling", step, steps) if step < steps else Progress("decoding", 0, 1))

    report(Progress("sampling", 0, steps))
    if job.panorama:
        made = _panorama(job, models, pipeline, known, frugal, on_batch, on_step)
    else:
        made = _single(job, pipeline, known, guidance, on_step)
    sampled = time.perf_counter()
    report(Progress("writing", 0, 1))
    warnings = [*remarks, *models.remarks, *_warnings(job, pipeline, known, made.worked, made.image.size)]
    about = {
        "prompt": job.prompt, "task": job.task, "seed": job.seed, "steps": job.steps, "guidance": guidance, "model": job.model, "revision": revision,
        "programs": models.programs(), "memory_plan": models.plan.name, **made.about, "working_size": list(made.worked),
        "timings": {"load": round(loaded - began, 3), "sample": round(sampled - loaded, 3), "total": round(time.perf_counter() - began, 3)},
        "warnings": warnings,
        **({"step_cache": job.step_cache} if job.step_cache and not job.panorama else {}),
        **({"loras": [{"path": str(lora.path), "strength": lora.strength, "branch": lora.branch} for lora in job.loras]} if job.loras else {}),
    }  # fmt: skip
    # The last report came before: a cancel that comes now is too late, and may not lose a result that is on disk.
    frame = write_frame(job.output, folder_name(job.prompt, job.seed), made.image, made.disparity, about)
    return Result(frame.resolve(), tuple(warnings))


def _single(job: Job, pipeline: JointDiTPipeline, known: _Known, guidance: float, on_step: Callable[[int, Preview], None]) -> _Made:
    """One perspective picture."""
    import torch

    width, height = working_size(job, known.size, pipeline.config.native_size)

    def stepped(pipe: JointDiTPipeline, step: int, _timestep: torch.Tensor, tensors: dict[str, torch.Tensor]) -> None:
        on_step(step, lambda: pipe.preview(tensors["denoised"], height, width))

    result = pipeline(
        prompt=job.prompt if job.prompt.strip() else None, image=known.image, disparity=known.disparity, task=job.task, height=height, width=width,
        num_inference_steps=job.steps, guidance_scale=guidance, generator=torch.Generator("cpu").manual_seed(job.seed),
        output_type="np", callback_on_step_end=stepped, callback_on_step_end_tensor_inputs=("denoised",),
    )  # fmt: skip
    image, disparity = _finish(job, known, result.images[0], result.disparity[0])
    camera = {"projection": "perspective", "horizontal_angle": job.horizontal_angle or pipeline.config.horizontal_angle}
    return _Made(image, disparity, (width, height), {"camera": camera, "distance": "planar", "mapping": {"near": job.near, "far": job.far}})


def _panorama(
    job: Job, models: Models, pipeline: JointDiTPipeline, known: _Known, frugal: bool, on_batch: Callable[[int], None],
    on_step: Callable[[int, Preview], None],
) -> _Made:  # fmt: skip
    """A strip or a sphere."""
    from .panorama import run, sizes

    size = sizes.job_size(job, known.size, pipeline.config.native_size)
    window, device = sizes.window_size(job, size), pipeline.device_at_work
    batch = 0 if frugal else models.pairs_at_once(*window, job.steps, sizes.agreement_bytes(job, size))
    if batch == 0 or device.type != "cuda":
        device = "cpu"
        batch = 1 if frugal else max(1, models.pairs_at_once(*window, job.steps))
    made = run.make(job, pipeline, known.front or known.image, size, batch, device, on_batch, on_step)
    return _Made(made.image, made.disparity, size, made.about)


def _finish(job: Job, known: _Known, image: np.ndarray, disparity: np.ndarray) -> tuple[Image.Image, np.ndarray]:
    """The result's image and disparity, of one size: what the artist gave stays as it was, what the model made is fitted to it.

    A disparity that the model made is stretched to [0, 1], as its training data were: its nearest pixel is at `near`, its farthest at `far`.
    """
    import numpy as np
    from PIL import Image

    from .pictures import stretched

    made = Image.fromarray((255 * image).round().astype(np.uint8))
    if known.image is not None and not (job.width or job.height):
        return known.image, stretched(_resize_map(disparity, known.image.size))
    if known.image is not None:
        return known.image.resize(made.size, Image.Resampling.LANCZOS), stretched(disparity)
    if known.disparity is not None:
        return made, _resize_map(known.disparity, made.size)
    return made, stretched(disparity)


def _resize_map(disparity: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A float32 map (H, W) at another (width, height); unchanged where the size fits."""
    import numpy as np
    from PIL import Image

    if disparity.shape[::-1] == size:
        return disparity
    return np.clip(np.asarray(Image.fromarray(disparity, "F").resize(size, Image.Resampling.BICUBIC)), 0, 1)


def _warnings(job: Job, pipeline: JointDiTPipeline, known: _Known, worked: tuple[int, int], size: tuple[int, int]) -> list[str]:
    """What the person should know about this result."""
    warnings, native = [], pipeline.config.native_size
    if pipeline.unread_words(job.prompt):
        warnings.append(f"The prompt is longer than the model reads ({pipeline.config.max_sequence_length} word pieces); its end was ignored.")
    if known.size is not None and worked != size:
        warnings.append(f"The picture was worked on at {worked[0]} x {worked[1]} pixels and the result enlarged to {size[0]} x {size[1]}.")
    if job.panorama and job.step_cache:
        warnings.append("The step cache was not used: the parts of a panorama take turns within a step.")
    if job.panorama:
        warnings += _panorama_warnings(job, pipeline, worked)
    elif worked[0] * worked[1] > 2.5 * native**2:
        warnings.append(f"The model was trained at {native} x {native} pixels; far larger pictures lose their coherence.")
    return warnings


def _panorama_warnings(job: Job, pipeline: JointDiTPipeline, worked: tuple[int, int]) -> list[str]:
    """What the person should know about a panorama."""
    from .panorama import sizes

    warnings, native = [], pipeline.config.native_size
    level = pipeline.config.largest_pitch < 30 and job.kind == "sphere"
    unheard = sorted({"up", "down"} & set(job.parts)) if level else []
    if unheard:
        warnings.append(f"This model knows level pictures only: what was asked for {' and '.join(unheard)} has no effect.")
    side = sizes.window_size(job, worked)[0]
    if side > 1.6 * native:
        warnings.append(f"The model was trained at {native} x {native} pixels; views of {side} x {side} lose their coherence. Choose a smaller panorama.")
    return warnings
