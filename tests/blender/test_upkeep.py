# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""First run, Check Setup and Models as a script uses them and as the timer drives them; the backend is a real process (`engine.clerk`)."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from engine import clerk, standin
from engine.patience import PATIENCE

bpy = pytest.importorskip("bpy")

import jointdit_blender  # noqa: E402
from jointdit_blender import preferences, upkeep, windows  # noqa: E402
from jointdit_blender.core import installer  # noqa: E402
from jointdit_blender.core.environment import STEPS, Record  # noqa: E402
from jointdit_blender.operators import models, setup  # noqa: E402

GOOD = {"finding": "device", "good": True, "text": "a card", "repair": "", "model": ""}
BAD = {"finding": "model mine", "good": False, "text": "It lacks CLIP-L.", "repair": "download-model", "model": "mine"}
CLIP = {"piece": "clip", "title": "CLIP-L", "size": 246_000_000, "licence": "A Licence", "gated": True, "page": "https://example.org/clip"}
EMBEDDED = {"model": "embedded", "title": "Embedded model", "licence": "GPL", "size": 23_000_000, "complete": True, "own": False, "reason": "It fits."}
MINE = {"model": "mine", "title": "FLUX", "licence": "A Licence", "size": 0, "complete": False, "own": True, "missing": [CLIP], "repair": "download-model"}


@pytest.fixture(autouse=True)
def blender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """JointDiT enabled, with nothing installed, and Blender allowed online; `wheel` and `clerk` are there if a test puts them there."""
    monkeypatch.delenv("JOINTDIT_PYTHON", raising=False)
    monkeypatch.setenv("CLERK", str(tmp_path / "answers"))
    find = importlib.util.find_spec
    # This Python has the package; a Blender has not.
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "jointdit" else find(name, *more))
    monkeypatch.setattr(preferences, "backend_folder", lambda: tmp_path / "own")
    (tmp_path / "answers").mkdir()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.preferences.system.use_online_access = True
    jointdit_blender.register()
    addon = bpy.context.preferences.addons.new()
    addon.module = "jointdit_blender"
    preferences.look_for_backend(bpy.context)
    yield
    jointdit_blender.unregister()
    bpy.context.preferences.addons.remove(addon)
    bpy.context.preferences.system.use_online_access = False


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package that the extension brings."""
    path = tmp_path / "jointdit-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("jointdit-0.1.0.dist-info/RECORD", "one file")
    monkeypatch.setattr(preferences, "package", lambda: path)
    return path


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python that has the package: the stand-in. It is used through JOINTDIT_PYTHON or the preferences."""
    return standin.write_interpreter(tmp_path, script=Path(clerk.__file__))


@pytest.fixture
def answers(tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-in's answers; it is the backend of this machine."""
    monkeypatch.setenv("JOINTDIT_PYTHON", str(python))
    preferences.look_for_backend(bpy.context)
    clerk.write(tmp_path / "answers", "models-list", EMBEDDED, {"result": {"models": 1}})
    return tmp_path / "answers"


def settle_in(folder: Path, python: Path, digest: str, steps: tuple[str, ...] = STEPS) -> None:
    """What an installation leaves: the environment's Python, and the record."""
    place = installer.interpreter_of(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(python)
    Record(version="0.1.0", digest=digest, backend="cpu", torch="2.9.1+cpu", steps=list(steps)).save(folder)


def digest_of(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


class Installation:
    """Stands for the installer's: three polls, then the environment is there, or it fails, or it waits to be stopped."""

    ends = "well"
    python = Path()

    def __init__(self, plan: installer.Plan) -> None:
        self.plan, self.phase, self.message = plan, "Downloading torch", ""
        self.done, self.total, self.elapsed, self.polls = 0, 2_000_000_000, 65.0, 0
        self.finished = self.failed = self.cancelled = False

    def start(self) -> None:
        pass

    def poll(self) -> None:
        self.polls += 1
        self.done = min(500_000_000 * self.polls, self.total)
        if self.polls < 3 or (self.ends == "never" and not self.cancelled):
            return
        self.finished, self.failed = True, self.ends == "badly"
        if self.ends == "well":
            settle_in(self.plan.folder, self.python, digest_of("one file"))
        self.message = {"well": "It is installed.", "badly": "The disk is full.", "never": "It was stopped."}[self.ends]

    def cancel(self) -> None:
        self.cancelled = True

    def report(self) -> str:
        return f"{self.message}\nthe last lines of pip"


@pytest.fixture
def installing(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Installation]:
    monkeypatch.setattr(installer, "Installation", Installation)
    monkeypatch.setattr(Installation, "python", python)
    monkeypatch.setattr(Installation, "ends", "well")
    clerk.write(tmp_path / "answers", "models-list", EMBEDDED, {"result": {"models": 1}})
    return Installation


def shown() -> Any:
    return bpy.context.window_manager.jointdit_upkeep


def chosen() -> Any:
    return bpy.context.preferences.addons["jointdit_blender"].preferences


def drive(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """What the timer does in a window."""
    end = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        upkeep.current().advance()
        time.sleep(0.02)


def idle() -> bool:
    return not upkeep.current().busy


def refusal(operator: Callable[..., Any], **properties: object) -> str:
    """Why an operator cannot be called or has failed, as Blender says it."""
    with pytest.raises(RuntimeError) as error:
        operator(**properties)
    return str(error.value)


# Where the image generator is


def test_a_fresh_blender_says_what_is_missing_and_why_it_cannot_be_installed() -> None:
    assert bpy.context.window_manager.jointdit.missing == "The image generator is not installed yet." == shown().engine_text
    assert "comes without the image generator's package" in refusal(bpy.ops.jointdit.install)
    assert "Install the image generator first" in refusal(bpy.ops.jointdit.list_models)
    assert bpy.ops.jointdit.set_up.poll(), "another Python can always be chosen"


def test_without_leave_to_go_online_the_button_says_how_to_allow_it(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bpy.ops.jointdit.install.poll()
    bpy.context.preferences.system.use_online_access = False
    assert "Allow Online Access in Preferences > System > Network" in refusal(bpy.ops.jointdit.install)
    app = SimpleNamespace(online_access=False, online_access_override=True)
    monkeypatch.setattr(preferences, "bpy", SimpleNamespace(app=app))
    assert "without --offline-mode" in refusal(bpy.ops.jointdit.install)


def test_the_chosen_python_comes_first_then_the_installed_one_then_the_variable(
    tmp_path: Path, wheel: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text("")
    monkeypatch.setenv("JOINTDIT_PYTHON", str(other))
    assert preferences.interpreter(bpy.context) == "" and preferences.engine(bpy.context).state == "found"
    settle_in(tmp_path / "own", python, digest_of("one file"))
    assert preferences.interpreter(bpy.context) == str(installer.interpreter_of(tmp_path / "own"))
    assert preferences.engine(bpy.context).text == "Installed: image generator 0.1.0 with torch 2.9.1+cpu."
    chosen().interpreter = str(python)
    assert preferences.interpreter(bpy.context) == str(python) and shown().engine == "chosen"
    chosen().interpreter = str(tmp_path / "gone")
    assert shown().engine == "missing" and "gone" in bpy.context.window_manager.jointdit.missing


def test_an_older_or_unfinished_installation_is_said(tmp_path: Path, wheel: Path, python: Path) -> None:
    settle_in(tmp_path / "own", python, digest_of("another file"))
    assert preferences.engine(bpy.context).state == "outdated" and "update it" in preferences.engine(bpy.context).missing
    assert preferences.interpreter(bpy.context), "it is used until it is updated"
    settle_in(tmp_path / "own", python, digest_of("one file"), STEPS[:2])
    assert preferences.engine(bpy.context).state == "unfinished" and preferences.interpreter(bpy.context) == ""


# Installing


def test_one_button_installs_and_everything_works_right_after(tmp_path: Path, wheel: Path, installing: type[Installation]) -> None:
    chosen().interpreter = str(tmp_path / "gone")
    assert bpy.ops.jointdit.set_up() == {"FINISHED"}
    assert shown().engine == "installed" and bpy.context.window_manager.jointdit.missing == "" and chosen().interpreter == ""
    assert (shown().message, shown().failed, shown().running) == ("It is installed.", False, False)
    assert [model.name for model in shown().models] == ["embedded"], "the models are listed without being asked for"


def test_progress_is_shown_and_stopping_keeps_the_window_free(wheel: Path, installing: type[Installation], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installation, "ends", "never")
    current = upkeep.current()
    current.plan_installation(lambda: None)
    drive(idle)
    assert "packages" in current.plan.sentence and shown().message == ""
    current.install(current.plan)
    current.advance()
    assert shown().running and not shown().quiet and shown().factor == 0.25
    assert (shown().phase, shown().progress) == ("Downloading torch", "500 MB of 2.0 GB · 1:05")
    for operator in (bpy.ops.jointdit.install, bpy.ops.jointdit.check_setup, bpy.ops.jointdit.set_up, bpy.ops.jointdit.uninstall):
        assert "Wait until this is done: Downloading torch" in refusal(operator)
    assert bpy.ops.jointdit.stop_errand() == {"FINISHED"}
    drive(idle)
    assert (shown().message, shown().failed) == ("It was stopped.", False) and shown().engine == "missing"
    bpy.ops.jointdit.dismiss_outcome()
    assert shown().message == ""


def test_a_failure_can_be_copied_and_tried_again(wheel: Path, installing: type[Installation], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installation, "ends", "badly")
    assert "The disk is full." in refusal(bpy.ops.jointdit.install)
    assert (shown().failed, shown().message, shown().retry) == (True, "The disk is full.", "jointdit.install")
    assert "the last lines of pip" in upkeep.current().outcome.report and bpy.ops.jointdit.copy_outcome() == {"FINISHED"}
    monkeypatch.setattr(Installation, "ends", "well")
    assert bpy.ops.jointdit.install() == {"FINISHED"} and shown().engine == "installed"


def test_a_plan_that_cannot_be_made_is_a_sentence(wheel: Path) -> None:
    wheel.write_bytes(b"no zip")
    assert "is damaged: install the extension anew" in refusal(bpy.ops.jointdit.install)
    upkeep.current().plan_installation(lambda: pytest.fail("it goes on"))
    drive(idle)
    assert shown().failed and "is damaged" in shown().message and shown().retry == "jointdit.install"


def test_the_build_of_the_preferences_is_planned(wheel: Path) -> None:
    upkeep.current().plan_installation(lambda: None)
    drive(idle)
    chosen().build = "cu126"
    upkeep.current().plan_installation(lambda: None)
    drive(idle)
    assert upkeep.current().plan.backend == "cu126" and "cu126" in upkeep.current().plan.sentence


def test_removing_takes_the_environment_away(tmp_path: Path, wheel: Path, installing: type[Installation]) -> None:
    assert "has installed nothing" in refusal(bpy.ops.jointdit.uninstall)
    bpy.ops.jointdit.install()
    assert bpy.ops.jointdit.uninstall() == {"FINISHED"}
    assert not (tmp_path / "own").exists() and shown().engine == "missing" and not shown().models
    assert "models and results are kept" in shown().message


def test_another_python_is_chosen_and_checked(python: Path, tmp_path: Path) -> None:
    clerk.write(tmp_path / "answers", "doctor", GOOD, {"result": {"healthy": True}})
    assert "is a folder" in refusal(bpy.ops.jointdit.choose_python, filepath=str(tmp_path))
    assert bpy.ops.jointdit.choose_python(filepath=str(python)) == {"FINISHED"}
    assert chosen().interpreter == str(python) and shown().engine == "chosen" and shown().message == "All is well."


# What begins while a file browser or a dialog is open


@pytest.mark.parametrize("name", ["choose_python", "add_model", "remove_model", "download_model", "install", "uninstall", "set_up"])
def test_what_is_confirmed_while_something_else_is_at_work_is_refused_with_a_sentence(
    name: str, answers: Path, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clerk.write(answers, "models-list", "wait 20")
    given = {"add_model": {"directory": str(tmp_path)}, "remove_model": {"name": "mine"}, "choose_python": {"filepath": sys.executable}}.get(name, {})
    (tmp_path / "own").mkdir()
    for module in (setup, models):
        if hasattr(module, f"JOINTDIT_OT_{name}"):
            # Blender polled when the dialog opened, and does not do so again.
            monkeypatch.setattr(getattr(module, f"JOINTDIT_OT_{name}"), "poll", classmethod(lambda cls, context: True))
    upkeep.current().list_models()
    try:
        words = refusal(getattr(bpy.ops.jointdit, name), **given)
    finally:
        upkeep.current().stop()
    assert "Wait until this is done: Looking at the models." in words and "Traceback" not in words
    assert chosen().interpreter == "" and (tmp_path / "own").exists()


def test_nothing_is_exchanged_while_a_job_is_at_work(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.JOINTDIT_OT_choose_python, "poll", classmethod(lambda cls, context: True))
    monkeypatch.setattr(setup, "at_work", lambda: "Wait until the jobs are done")
    assert "Wait until the jobs are done." in refusal(bpy.ops.jointdit.choose_python, filepath=str(python))
    assert chosen().interpreter == ""


def test_nothing_can_be_generated_while_the_generator_is_being_changed(
    wheel: Path, installing: type[Installation], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Installation, "ends", "never")
    current = upkeep.current()
    current.plan_installation(lambda: None)
    assert shown().obstacle == "", "a plan changes nothing"
    drive(idle)
    current.install(current.plan)
    assert shown().obstacle == "Wait until the installation is done"
    current.cancel()
    drive(idle)
    assert shown().obstacle == ""
    (tmp_path / "own").mkdir()
    current.uninstall()
    assert shown().obstacle == "Wait until the image generator is removed"
    drive(idle)
    assert shown().obstacle == ""


# The preferences


def test_what_an_operator_sets_is_saved_like_what_a_person_sets(answers: Path, python: Path, wheel: Path, installing: type[Installation]) -> None:
    clerk.write(answers, "models-remove", {"result": {"model": "mine"}})
    clerk.write(answers, "doctor", GOOD, {"result": {"healthy": True}})
    for set_by_an_operator in (
        lambda: bpy.ops.jointdit.use_model(name="mine"),
        lambda: bpy.ops.jointdit.remove_model(name="mine"),
        lambda: bpy.ops.jointdit.choose_python(filepath=str(python)),
        lambda: bpy.ops.jointdit.install(),
    ):
        bpy.context.preferences.is_dirty = False
        assert set_by_an_operator() == {"FINISHED"} and bpy.context.preferences.is_dirty
    bpy.context.preferences.is_dirty = False
    bpy.ops.jointdit.use_model(name="embedded")
    assert not bpy.context.preferences.is_dirty, "it was chosen already"


def test_another_folder_of_results_shows_in_the_history(tmp_path: Path) -> None:
    standin.write_frame({"output": str(tmp_path / "there"), "task": "joint", "prompt": "a lake", "seed": 7, "steps": 4})
    chosen().output = str(tmp_path / "empty")
    assert len(bpy.context.window_manager.jointdit.results) == 0 and (tmp_path / "empty").is_dir()
    chosen().output = str(tmp_path / "there")
    assert [result.title for result in bpy.context.window_manager.jointdit.results] == ["a lake"]


def test_results_lie_outside_the_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences, "PACKAGE", "bl_ext.user_default.jointdit")
    monkeypatch.setattr(bpy.utils, "user_resource", lambda kind, path="", create=False: str(tmp_path / kind / path))
    monkeypatch.setattr(bpy.utils, "extension_path_user", lambda package, path="", create=False: str(tmp_path / "extension" / path))
    folder = preferences.output_folder(bpy.context)
    assert folder == tmp_path / "DATAFILES/jointdit/frames" and folder.is_dir() and not (tmp_path / "extension").exists()


# Check Setup


def test_the_check_shows_each_finding_as_it_comes(answers: Path) -> None:
    clerk.write(answers, "doctor", GOOD, "wait 0.6", BAD, {"result": {"healthy": False}}, "exit 1")
    upkeep.current().check()
    drive(lambda: len(shown().findings) > 0)
    assert shown().running and len(shown().findings) == 1
    drive(idle)
    assert [(row.what, row.good, row.text, row.repair, row.model) for row in shown().findings] == [
        ("Device", True, "a card", "", ""),
        ("Model mine", False, "It lacks CLIP-L.", "download-model", "mine"),
    ]
    assert (shown().message, shown().failed) == ("1 of 2 findings need your attention.", False)


def test_where_there_is_no_backend_that_is_the_finding() -> None:
    assert bpy.ops.jointdit.check_setup() == {"FINISHED"}
    (row,) = shown().findings
    assert (row.good, row.repair) == (False, "install") and "not set up" in row.text


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="needs another Python, without the package")
def test_a_python_without_the_package_is_the_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOINTDIT_PYTHON", str(Path(sys.base_prefix) / ("python.exe" if sys.platform == "win32" else "bin/python3")))
    assert "does not have the package jointdit" in refusal(bpy.ops.jointdit.check_setup)
    (row,) = shown().findings
    assert (row.good, row.repair) == (False, "install") and shown().retry == "jointdit.check_setup"


# Models


def test_models_are_listed_used_and_removed(answers: Path) -> None:
    clerk.write(answers, "models-list", EMBEDDED, MINE, {"result": {"models": 2}})
    clerk.write(answers, "models-remove", {"result": {"model": "mine"}})
    assert bpy.ops.jointdit.list_models() == {"FINISHED"} and shown().message == ""
    first, second = shown().models
    assert (first.name, first.about, first.detail, first.own, first.lacking) == ("embedded", "23.0 MB · GPL", "It fits.", False, "")
    assert (second.name, second.about, second.lacking, second.own) == ("mine", "A Licence", "CLIP-L (246 MB)", True)
    bpy.ops.jointdit.use_model(name="mine")
    assert preferences.model(bpy.context) == "mine"
    clerk.write(answers, "models-list", EMBEDDED, {"result": {"models": 1}})
    assert bpy.ops.jointdit.remove_model(name="mine") == {"FINISHED"}
    assert preferences.model(bpy.context) == "" and [model.name for model in shown().models] == ["embedded"]
    bpy.ops.jointdit.use_model(name="embedded")
    assert preferences.model(bpy.context) == "", "the embedded one is what there is without a choice"


def test_files_or_a_folder_are_added(answers: Path, tmp_path: Path) -> None:
    files = tmp_path / "files of mine"
    files.mkdir()
    (files / "a.gguf").write_text("x")
    clerk.write(answers, "models-add", {"result": {"model": "flux", "complete": False, "missing": [CLIP]}})
    assert bpy.ops.jointdit.add_model(directory=str(files), files=[{"name": "a.gguf"}]) == {"FINISHED"}
    assert shown().message == "The model flux still lacks CLIP-L."
    clerk.write(answers, "models-add", {"result": {"model": "other", "complete": True, "missing": []}})
    assert bpy.ops.jointdit.add_model(directory=str(files), name="other") == {"FINISHED"}
    assert shown().message == "The model other is complete."
    added = [asked["words"] for asked in clerk.asked(answers) if asked["words"][1] == "add"]
    assert added == [["models", "add", str(files / "a.gguf"), "--name", "flux", "--json"], ["models", "add", str(files), "--name", "other", "--json"]]
    assert "There is no" in refusal(bpy.ops.jointdit.add_model, directory=str(files), files=[{"name": "gone.gguf"}])


def test_a_download_needs_consent_and_the_token_is_kept_nowhere(answers: Path, tmp_path: Path) -> None:
    folder, token = str(tmp_path / "weights"), "hf_VerySecret"
    clerk.write(answers, "models-download-plan", {**CLIP, "missing": 200_000_000}, {"result": {"folder": folder, "free": 10**12}})
    clerk.write(answers, "models-download", f"complain sent {token}", {"error": "The licence has not been accepted yet."}, "exit 1")
    assert "Read the A Licence and tick" in refusal(bpy.ops.jointdit.download_model)
    assert "has not been accepted" in refusal(bpy.ops.jointdit.download_model, accepted=True, token=token)
    *_, asked = clerk.asked(answers)
    assert asked["token"] == token and asked["words"] == [
        *("models", "download", "--yes", "--add", "flux", "--folder", folder, "--piece", "clip", "--json")
    ]
    assert (shown().failed, shown().retry, shown().retry_model) == (True, "jointdit.download_model", "flux")
    assert token not in upkeep.current().outcome.report and "sent hf_…" in upkeep.current().outcome.report
    assert token not in repr(vars(upkeep.current())) and token not in os.environ.values()
    saved = tmp_path / "saved.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(saved), compress=False)
    bpy.ops.wm.save_userpref()
    kept = [path for path in Path(bpy.utils.resource_path("USER")).rglob("*") if path.is_file()]
    assert not [path for path in (saved, *kept) if token.encode() in path.read_bytes()]
    shown_property = bpy.ops.jointdit.download_model.get_rna_type().properties["token"]
    assert shown_property.subtype == "PASSWORD" and shown_property.is_skip_save
    assert not bpy.ops.jointdit.download_model.get_rna_type().bl_rna.properties["token"].default


def test_what_a_model_lacks_is_fetched_with_its_progress(answers: Path, tmp_path: Path) -> None:
    clerk.write(answers, "models-list", EMBEDDED, MINE, {"result": {"models": 2}})
    bpy.ops.jointdit.list_models()
    clerk.write(answers, "models-download-plan", {**CLIP, "gated": False}, {"result": {"folder": str(tmp_path), "free": 10**12}})
    clerk.write(answers, "models-download", {"done": 5, "total": 20, "file": "a"}, "wait 0.5", {"result": {"model": "mine", "missing": []}})
    current = upkeep.current()
    current.plan_download("mine", ["clip"], lambda: None)
    drive(idle)
    assert not current.download_plan.restricted and current.download_plan.missing == 246_000_000
    current.download(current.download_plan, str(tmp_path), "")
    drive(lambda: shown().factor == 0.25)
    drive(idle)
    assert shown().message == "The model mine is complete." and current.outcome.kind == "download"


def test_offline_nothing_is_downloaded(answers: Path) -> None:
    bpy.context.preferences.system.use_online_access = False
    assert "Allow Online Access" in refusal(bpy.ops.jointdit.download_model, accepted=True)
    assert not clerk.asked(answers)


# The errand and Blender


def test_an_errand_and_what_is_known_survive_the_loading_of_a_file(answers: Path) -> None:
    bpy.ops.jointdit.list_models()
    clerk.write(answers, "doctor", GOOD, "wait 1", {"result": {"healthy": True}})
    upkeep.current().check()
    drive(lambda: len(shown().findings) == 1)
    bpy.ops.wm.read_homefile(use_empty=True)
    assert shown().running and len(shown().findings) == 1 and [model.name for model in shown().models] == ["embedded"] and shown().engine == "found"
    drive(idle)
    assert shown().message == "All is well."
    bpy.ops.wm.read_homefile(use_empty=True)
    assert shown().message == "All is well."


def test_only_what_shows_it_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def area(kind: str) -> SimpleNamespace:
        regions = [SimpleNamespace(type=name, tag_redraw=partial(drawn.append, f"{kind} {name}")) for name in ("WINDOW", "UI", "HEADER")]
        return SimpleNamespace(type=kind, regions=regions, tag_redraw=partial(drawn.append, kind))

    screen = SimpleNamespace(areas=[area(kind) for kind in ("VIEW_3D", "PREFERENCES", "IMAGE_EDITOR")])
    manager = SimpleNamespace(windows=[SimpleNamespace(screen=screen)], jointdit_upkeep=shown())
    with monkeypatch.context() as patch:
        for module in (windows, upkeep):
            patch.setattr(module, "bpy", SimpleNamespace(context=SimpleNamespace(window_manager=manager)))
        upkeep.current().show(afresh=True)
    assert drawn == ["VIEW_3D UI", "PREFERENCES WINDOW"], "a viewport with a large scene takes long"


def test_disabling_ends_the_errand(answers: Path) -> None:
    clerk.write(answers, "models-list", "wait 60")
    upkeep.current().list_models()
    end = time.monotonic() + 20
    while not clerk.asked(answers) and time.monotonic() < end:
        time.sleep(0.02)
    (asked,) = clerk.asked(answers)
    begin = time.monotonic()
    jointdit_blender.unregister()
    assert time.monotonic() - begin < upkeep.LAST_PATIENCE
    jointdit_blender.register()
    with pytest.raises(ProcessLookupError):
        os.kill(asked["pid"], 0)


def test_the_timer_goes_as_soon_as_nothing_is_left(answers: Path) -> None:
    assert upkeep._tick() is None
    upkeep.current().list_models()
    assert upkeep._tick() == upkeep.INTERVAL
    drive(idle)
    assert upkeep._tick() is None and not bpy.app.timers.is_registered(upkeep._tick)


def test_the_page_asks_for_the_models_once(answers: Path) -> None:
    upkeep.look_at_models_once()
    assert bpy.app.timers.is_registered(upkeep._list_models)
    bpy.app.timers.unregister(upkeep._list_models)
    upkeep._list_models()
    drive(idle)
    upkeep.look_at_models_once()
    assert not bpy.app.timers.is_registered(upkeep._list_models) and len(shown().models) == 1
    chosen().interpreter = preferences.interpreter(bpy.context) or os.environ["JOINTDIT_PYTHON"]
    upkeep.look_at_models_once()
    assert bpy.app.timers.is_registered(upkeep._list_models), "another backend may know other models"


@pytest.mark.skipif(sys.platform == "win32", reason="wants the package in this Python")
def test_the_real_backend_lists_its_embedded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("JOINTDIT_PYTHON", sys.executable)
    preferences.look_for_backend(bpy.context)
    assert bpy.ops.jointdit.list_models() == {"FINISHED"}
    (model,) = shown().models
    assert model.name == "embedded" and model.about.endswith("GPL-3.0-or-later") and "GiB" in model.detail
