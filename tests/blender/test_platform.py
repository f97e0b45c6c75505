# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender's extensions platform asks for: the manifest, the zip, the code in it, a repository to install from, and a clean end."""

from __future__ import annotations

import ast
import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine import standin

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
BLENDERS = {"bpy", "bpy_extras", "bl_operators", "bl_ui", "bmesh", "mathutils", "gpu", "gpu_extras", "blf", "addon_utils", "rna_prop_ui"}
"""What Blender's own Python has besides the standard library and numpy."""
PAGES = r"docs/(?:[\w-]+\.(?:html|md)|manual\.css|(?:images|pictures)/[\w-]+\.png)"
HOLDS = re.compile(rf"(?:[a-z0-9_]+/)*\w+\.py|blender_manifest\.toml|LICENSE|{PAGES}|backend/jointdit-[\w.]+-py3-none-any\.whl")
SCRIPT = "headless.py"
"""Also a script for `blender -b --python`: then it is a program of its own, with no extension around it, and has to find its package."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that tools/repository.py makes."""
    folder = tmp_path_factory.mktemp("dist") / "repository"
    done = subprocess.run([sys.executable, str(ROOT / "tools/repository.py"), "--output", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def archive(repository: Path) -> zipfile.ZipFile:
    """The zip in it."""
    return zipfile.ZipFile(next(repository.glob("*.zip")))


# The manifest


def test_the_manifest_is_complete_and_keeps_to_the_rules() -> None:
    from _bpy_internal.extensions import tags  # the list of Blender's own

    needed = {"schema_version", "id", "version", "name", "tagline", "maintainer", "type", "tags", "blender_version_min", "license", "copyright", "permissions"}
    assert needed <= set(MANIFEST)
    assert set(MANIFEST["tags"]) <= tags.addons - {"All"}
    assert MANIFEST["license"] == ["SPDX:GPL-3.0-or-later"]
    assert "blender" not in MANIFEST["name"].lower()
    for sentence in (MANIFEST["tagline"], *MANIFEST["permissions"].values()):
        assert 0 < len(sentence) <= 64 and sentence[-1].isalnum(), sentence
    assert not {"wheels", "platforms"} & set(MANIFEST), "one zip for every system: what it installs, it installs beside Blender"


def test_every_permission_is_asked_for_and_used(archive: zipfile.ZipFile) -> None:
    code = " ".join(archive.read(name).decode() for name in archive.namelist() if name.endswith(".py"))
    assert set(MANIFEST["permissions"]) == {"files", "network", "clipboard"}
    assert "clipboard" in code and "extension_path_user" in code
    fetches = re.search(r"urllib\.request|http\.client|\"pip\"|index-url", code)
    assert "online_access" in code or not fetches, "Blender was not asked whether it may go online"


# The zip


def test_the_zip_holds_nothing_that_it_should_not(archive: zipfile.ZipFile) -> None:
    assert [name for name in archive.namelist() if not HOLDS.fullmatch(name)] == []
    assert {"__init__.py", "blender_manifest.toml", "LICENSE"} <= set(archive.namelist())
    assert sum(name.endswith(".whl") for name in archive.namelist()) <= 1
    for name in archive.namelist():
        if name.endswith(".py"):
            first = archive.read(name).decode().splitlines()[:2]
            assert first[0].startswith("# SPDX-FileCopyrightText: ") and first[1] == "# SPDX-License-Identifier: GPL-3.0-or-later", name


@pytest.mark.parametrize(
    ("name", "good"),
    [
        *(("core/worker.py", True), ("core/worker.pyc", False), ("jointdit_blender/a.png", False), ("tests.so", False)),
        *(("docs/frame.md", True), ("docs/images/set-up.png", True), ("docs/search.js", False)),
    ],
)
def test_the_rule_for_the_zip_refuses_what_it_should(name: str, good: bool) -> None:
    assert bool(HOLDS.fullmatch(name)) == good


def faults(source: str, name: str = "module.py") -> list[str]:
    """What a reviewer of extensions would send back, as sentences."""
    found = []
    tree = ast.parse(source)
    script = {id(node) for top in tree.body if isinstance(top, ast.FunctionDef) and top.name == "_run_as_script" for node in ast.walk(top)}
    for node in ast.walk(tree):
        if name == SCRIPT and id(node) in script:
            continue
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        roots = {module.split(".")[0] for module in modules}
        found += [f"imports {root} absolutely" for root in sorted(roots - BLENDERS - {"numpy"} - sys.stdlib_module_names)]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sys":
            found += [f"touches sys.{node.attr}"] if node.attr in ("path", "modules", "meta_path", "path_hooks") else []
        if isinstance(node, ast.ImportFrom) and node.module == "sys":
            found.append("imports from sys")
        if isinstance(node, ast.Name) and node.id in ("bl_info", "exec", "eval", "__import__"):
            found.append(f"has {node.id}")
    return found


def test_the_code_in_the_zip_keeps_to_the_rules(archive: zipfile.ZipFile) -> None:
    for name in archive.namelist():
        if name.endswith(".py"):
            assert faults(archive.read(name).decode(), name) == [], name


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "from jointdit_blender import core",
        "def f():\n    import requests.adapters",
        "import sys\nsys.path.insert(0, '')",
        "from sys import path",
        "import sys\nsys.modules['numpy'] = None",
        "bl_info = {}",
        "exec('1')",
    ],
)
def test_a_fault_in_the_code_is_found(source: str) -> None:
    assert faults(source)
    assert not faults("import os.path, bpy\nfrom . import core\nfrom ..core import frame\nimport numpy as np")


def test_only_the_script_may_run_as_a_script() -> None:
    """The way around the rule is open in one function, and only where the file is the program that Blender was told to run."""
    tree = ast.parse((ROOT / "jointdit_blender" / SCRIPT).read_text(encoding="utf-8"))
    used = [node for node in tree.body if any(isinstance(part, ast.Name) and part.id == "_run_as_script" for part in ast.walk(node))]
    assert [ast.unparse(node.test) for node in used if isinstance(node, ast.If)] == ["__name__ == '__main__'"] and len(used) == 1


# The repository


def test_the_repository_lists_the_zip(repository: Path, archive: zipfile.ZipFile) -> None:
    import hashlib

    assert {path.name for path in repository.iterdir()} == {"index.json", "index.html", Path(archive.filename or "").name}
    (entry,) = json.loads((repository / "index.json").read_text(encoding="utf-8"))["data"]
    content = (repository / entry["archive_url"]).read_bytes()
    assert entry["archive_hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}" and entry["archive_size"] == len(content)
    shown = {name: value for name, value in MANIFEST.items() if name != "build"}
    assert {name: entry.get(name) for name in shown} == shown
    page = (repository / "index.html").read_text(encoding="utf-8")
    assert f"{entry['archive_url']}?repository=" in page and "://" not in page


def test_a_folder_that_is_no_repository_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_text("years of work")
    done = subprocess.run([sys.executable, str(ROOT / "tools/repository.py"), "--output", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1 and "choose another folder" in done.stderr
    assert (tmp_path / "thesis.odt").exists()


@pytest.fixture(scope="module")
def address(repository: Path) -> Iterator[str]:
    """Where a web server shows the repository, on this machine only."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(repository)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/index.json"
    server.shutdown()
    server.server_close()


INSTALL = """
import sys, bpy
preferences = bpy.context.preferences
if "bl_pkg" not in preferences.addons:
    bpy.ops.preferences.addon_enable(module="bl_pkg")
preferences.system.use_online_access = True
assert bpy.app.online_access
repository = preferences.extensions.repos.new(name="JointDiT", module="theirs", remote_url=sys.argv[1])
index = list(preferences.extensions.repos).index(repository)
assert bpy.ops.extensions.repo_sync(repo_index=index) == {"FINISHED"}
for _ in range(2):  # the second time it takes the place of the first, which is enabled
    assert bpy.ops.extensions.package_install(repo_index=index, pkg_id="jointdit", enable_on_install=True) == {"FINISHED"}
    assert "bl_ext.theirs.jointdit" in preferences.addons
    assert bpy.ops.jointdit.generate.get_rna_type().name == "Generate" and hasattr(bpy.types.Scene, "jointdit")
assert bpy.ops.extensions.package_uninstall(repo_index=index, pkg_id="jointdit") == {"FINISHED"}
assert "bl_ext.theirs.jointdit" not in preferences.addons and not hasattr(bpy.types.Scene, "jointdit")
assert not [name for name in dir(bpy.types) if name.startswith("JOINTDIT")]
print("installed twice")
"""


def in_blender(program: str, *arguments: str, user: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh Blender of a person who has never used it."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower() and name not in ("JOINTDIT_PYTHON", "PYTHONPATH")}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=kept | {"BLENDER_USER_RESOURCES": str(user)} | environment, timeout=200)


def test_blender_installs_updates_and_uninstalls_it_from_the_repository(address: str, tmp_path: Path) -> None:
    done = in_blender(INSTALL, address, user=tmp_path)
    assert "installed twice" in done.stdout and "Traceback" not in done.stderr, done.stdout + done.stderr
    assert not (tmp_path / "extensions/theirs/jointdit").exists()


def test_blender_refuses_a_zip_that_is_not_the_listed_one(address: str, repository: Path, tmp_path: Path) -> None:
    """The test above can fail, and a damaged download is not installed."""
    archive = next(repository.glob("*.zip"))
    content = archive.read_bytes()
    archive.write_bytes(content[:-100] + bytes(100))
    try:
        done = in_blender(INSTALL, address, user=tmp_path)
    finally:
        archive.write_bytes(content)
    assert "installed twice" not in done.stdout
    assert not (tmp_path / "extensions/theirs/jointdit").exists()


# Coming and going

USE = """
import json, sys, pathlib, bpy
sys.path.insert(0, sys.argv[2])  # of this program, not of the extension
from traces import Recorder, difference, traces
recorder = Recorder()
for owner, name, function in recorder.watching():
    setattr(owner, name, function)
name = "bl_ext.user_default.jointdit"
bpy.ops.preferences.addon_enable(module="bl_pkg") if "bl_pkg" not in bpy.context.preferences.addons else None
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=False)
code = pathlib.Path(bpy.utils.user_resource("EXTENSIONS")) / "user_default/jointdit"
files = lambda: {str(path): path.stat().st_mtime_ns for path in code.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
installed = files()
bpy.ops.preferences.addon_enable(module=name)  # the first time Blender imports what it likes
bpy.ops.preferences.addon_disable(module=name)
before = traces() | recorder.traces()
for round in range(20):
    bpy.ops.preferences.addon_enable(module=name)
    assert name in bpy.context.preferences.addons and hasattr(bpy.types.Scene, "jointdit"), "not enabled"
    if round % 5 == 0:
        settings = bpy.context.scene.jointdit
        settings.prompt, settings.quality, settings.steps = "a hill", "CUSTOM", 1
        assert bpy.ops.jointdit.generate() == {"FINISHED"}
        inside = traces()
        assert [name for name in inside["threads"] if name.startswith("jointdit")], inside["threads"]
        assert not sys.platform.startswith("linux") or inside["processes"], "no worker"
    bpy.ops.preferences.addon_disable(module=name)
    assert name not in bpy.context.preferences.addons
    import threading
    for thread in threading.enumerate():
        if thread.name.startswith("jointdit"):
            thread.join(5)
    after = traces() | recorder.traces()
    assert not difference(before, after), (round, difference(before, after))
assert files() == installed, "something was written among the extension's own files"
print("came and went 20 times")
"""


def test_coming_and_going_twenty_times_leaves_nothing(archive: zipfile.ZipFile, tmp_path: Path) -> None:
    interpreter = str(standin.write_interpreter(tmp_path))
    done = in_blender(USE, archive.filename or "", str(Path(__file__).parent), user=tmp_path / "user", JOINTDIT_PYTHON=interpreter)
    assert "came and went 20 times" in done.stdout and "Traceback" not in done.stderr, done.stdout + done.stderr
    assert "duplicate" not in done.stderr, done.stderr  # what Blender says of a command that was not taken back
