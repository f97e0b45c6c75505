# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The zip that users get: built and validated by Blender's own tool, installed, enabled, used, disabled, enabled again."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from engine import standin

ROOT = Path(__file__).resolve().parents[2]

USE = """
import sys, pathlib, bpy, addon_utils
name = "bl_ext.user_default.jointdit"
bpy.ops.preferences.addon_enable(module="bl_pkg") if "bl_pkg" not in bpy.context.preferences.addons else None
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=True)
for round in range(2):
    assert name in bpy.context.preferences.addons, "not enabled"
    chosen = bpy.context.preferences.addons[name].preferences
    assert chosen.interpreter == "" or round, chosen.interpreter
    chosen.interpreter = sys.argv[2]
    bpy.context.scene.jointdit.prompt = "a hill"
    assert bpy.ops.jointdit.generate() == {"FINISHED"}
    assert bpy.context.window_manager.jointdit.missing == ""
    bpy.ops.preferences.addon_disable(module=name)
    assert not hasattr(bpy.types.Scene, "jointdit")
    bpy.ops.preferences.addon_enable(module=name)
    bpy.ops.wm.read_homefile(use_empty=True)
folder = pathlib.Path(bpy.utils.user_resource("DATAFILES", path="jointdit/frames"))
assert len(list(folder.glob("*/frame.json"))) == 2, folder
own = pathlib.Path(bpy.utils.extension_path_user(name, create=True))
assert not (own / "frames").exists(), "Blender deletes what is in the extension's own folder"
code = pathlib.Path(sys.modules[name].__file__).parent
written = [path for path in code.rglob("*") if path.suffix in (".exr", ".png") and code / "docs" not in path.parents]
assert not written, "results in the extension's own folder"
assert not [other for other in sys.modules if other.startswith("jointdit")], "an absolute import"
import webbrowser
opened = []
webbrowser.open = opened.append
assert bpy.ops.jointdit.open_manual() == {"FINISHED"}
assert opened == [next(code.glob("docs/index.*")).as_uri()], opened
(own / "backend").mkdir()
index = [repository.module for repository in bpy.context.preferences.extensions.repos].index("user_default")
assert bpy.ops.extensions.package_uninstall(repo_index=index, pkg_id="jointdit") == {"FINISHED"}
assert not code.exists() and not own.exists(), "Blender has deleted both"
assert len(list(folder.glob("*/frame.json"))) == 2, "results are deleted with the extension"
print("used twice")
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("dist")
    done = subprocess.run([sys.executable, str(ROOT / "tools/build_extension.py"), "--output", str(output)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(done.stdout.split()[-1])


def test_the_zip_holds_the_extension_and_nothing_else(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        sizes = {entry.filename: entry.compress_size for entry in opened.infolist()}
    assert {"__init__.py", "blender_manifest.toml", "core/worker.py"} <= set(sizes)
    wheels = [name for name in sizes if name.startswith("backend")]
    assert wheels == [f"backend/jointdit-{archive_version()}-py3-none-any.whl"]
    assert not [name for name in sizes if "__pycache__" in name or name.startswith(("tests", "."))]
    assert sum(size for name, size in sizes.items() if name not in wheels) < 3_000_000 and sizes[wheels[0]] < 52_000_000


def test_the_wheel_in_it_is_the_image_generator_and_no_wheel_of_blenders(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        wheel = opened.extract(f"backend/jointdit-{archive_version()}-py3-none-any.whl", tmp_path)
        assert "wheels" not in tomllib.loads(opened.read("blender_manifest.toml").decode())
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        metadata = opened.read(f"jointdit-{archive_version()}.dist-info/METADATA").decode()
    assert {name.split("/")[0] for name in names} == {"jointdit", f"jointdit-{archive_version()}.dist-info"}
    source = {
        str(path.relative_to(ROOT / "backend").as_posix())
        for path in (ROOT / "backend/jointdit").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    }
    assert {name for name in names if name.startswith("jointdit/")} == source, "more or less than the package"
    assert "jointdit/embedded/pipeline/transformer/packed.safetensors" in source
    assert "Provides-Extra: runtime" in metadata and "Name: jointdit\n" in metadata


def test_the_versions_agree() -> None:
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    sys.path.insert(0, str(ROOT))
    from jointdit_blender.core.worker import VERSION

    assert manifest["version"] == VERSION and archive_version() == VERSION


def archive_version() -> str:
    """The version of the backend, read without importing it."""
    text = (ROOT / "backend/jointdit/__init__.py").read_text(encoding="utf-8")
    return text.split('__version__ = "')[1].split('"')[0]


def test_it_is_installed_enabled_used_disabled_and_enabled_again(archive: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "JOINTDIT_PYTHON"}
    environment |= {"BLENDER_USER_RESOURCES": str(tmp_path / "user"), "PYTHONPATH": ""}
    command = [sys.executable, "-c", USE, str(archive), str(standin.write_interpreter(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert "used twice" in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
