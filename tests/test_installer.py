# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installer, with a true uv, true environments and tiny wheels: what it makes, keeps, says and removes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wheels import Index, make_generator, make_house, make_wheel

from jointdit_blender.core import environment, graphics, installer
from jointdit_blender.core.environment import RECORD, STEPS, Record, path_problem, read_package, variables
from jointdit_blender.core.failures import Failure
from jointdit_blender.core.installer import Installation, InstallError, installed, interpreter_of, plan_installation, uninstall

ROOT = Path(__file__).resolve().parents[1]
SLOWEST_POLL = 0.5
"""Seconds; on an idle machine it is a few hundredths, when a program is started."""

uv_package = pytest.importorskip("uv", reason="uv comes with the extra “test”")
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="stands in for a program by a script of the shell")


@pytest.fixture(scope="module")
def uv() -> str:
    return str(uv_package.find_uv_bin())


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Wheels, and variables with which neither pip nor uv looks for anything elsewhere; the person's home is an empty folder."""
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    home = tmp_path / "home/anna.lind"
    for folder in (home, tmp_path / "programs"):
        folder.mkdir(parents=True)
    found = make_house(tmp_path / "house")
    settings = {"UV_FIND_LINKS": found, "PIP_FIND_LINKS": found, "UV_OFFLINE": 1, "PIP_NO_INDEX": 1, "PIP_CONFIG_FILE": os.devnull}
    settings |= {"UV_PYTHON_DOWNLOADS": "never", "HOME": home, "USERPROFILE": home, "PATH": tmp_path / "programs"}
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    yield found
    assert list(home.iterdir()) == [], "something was written to the home folder"


def drive(installation: Installation, until: Callable[[], bool] = lambda: False, seconds: float = 60) -> float:
    """Poll as Blender's timer does, until it has finished or `until` is true; the longest poll, in seconds."""
    longest, end = 0.0, time.monotonic() + seconds
    while not installation.finished and not until():
        assert time.monotonic() < end, installation.report()
        begin = time.perf_counter()
        installation.poll()
        longest = max(longest, time.perf_counter() - begin)
        time.sleep(0.01)
    return longest


def install(folder: Path, extension: Path, uv: str | None = None) -> Installation:
    """Install, with uv being there already where it is named: that spares pip, which takes seconds."""
    if uv and not folder.exists():
        folder.mkdir(parents=True)
        Record(steps=["tools"], uv=[uv]).save(folder)
    installation = Installation(plan_installation(folder, extension, "index"), Path(sys.executable))
    installation.start()
    assert drive(installation) < SLOWEST_POLL
    assert installation.finished and installation.phase == "" and installation.message
    return installation


def version_of(folder: Path, name: str = "jointdit") -> str:
    """The version that the Python in the environment finds."""
    return subprocess.check_output([interpreter_of(folder), "-c", f"import {name}; print({name}.__version__)"], text=True).strip()


def packages_of(folder: Path) -> Path:
    """Where the environment's packages lie."""
    return Path(subprocess.check_output([interpreter_of(folder), "-c", "import torch; print(torch.__path__[0])"], text=True).strip()).parent


def test_it_installs_with_nothing_but_a_python_and_then_knows_it(house: Path, tmp_path: Path, uv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel(house, "uv", "0.99.0", {f"scripts/{Path(uv).name}": Path(uv).read_bytes()})
    extension, folder = tmp_path / "the extension", tmp_path / "Blender Foundation/für Ännchen/backend"
    make_generator(extension)
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("UV_TORCH_BACKEND", "cpu")
    assert installed(folder, extension) is None
    done = install(folder, extension)
    assert not done.failed and not done.cancelled, done.report()
    assert "2.99.0+tiny" in done.message and 0 < done.elapsed < 60
    monkeypatch.delenv("PYTHONHOME")
    assert version_of(folder) == "0.1.0" and version_of(folder, "torch") == "2.99.0+tiny"
    assert not (tmp_path / "elsewhere").exists()
    assert {path.name for path in folder.iterdir()} <= {*environment.PARTS, RECORD}
    state = installed(folder, extension)
    assert state == installer.Installed("0.1.0", "index", "2.99.0+tiny", complete=True, outdated=False)
    assert json.loads((folder / RECORD).read_text())["steps"] == list(STEPS)


def test_an_installation_that_is_complete_is_made_anew_with_what_it_has_lost(house: Path, tmp_path: Path, uv: str) -> None:
    extension, folder = tmp_path / "extension", tmp_path / "backend"
    make_generator(extension)
    first = plan_installation(folder, extension, "index")
    assert not first.again and "installed anew" not in first.sentence
    install(folder, extension, uv)
    packages = packages_of(folder)
    shutil.rmtree(packages / "torch")
    (packages / "diffusers/__init__.py").unlink()
    (packages / "torch.py").write_text("raise ImportError('not the true one')")
    plan = plan_installation(folder, extension, "index")
    assert plan.again and not plan.update and plan.download == 0 and "installed anew" in plan.sentence
    again = install(folder, extension)
    assert not again.failed and "2.99.0+tiny" in again.message and not (packages / "torch.py").exists()
    assert version_of(folder, "torch") == "2.99.0+tiny" and installed(folder, extension).complete


def test_going_on_does_only_what_is_left(house: Path, tmp_path: Path, uv: str) -> None:
    extension, folder = tmp_path / "extension", tmp_path / "backend"
    make_generator(extension)
    install(folder, extension, uv)
    mark = packages_of(folder) / "torch/mark"
    mark.touch()
    record = environment.read_record(folder)
    for left in ("check", "packages"):
        record.forget(left)
        record.save(folder)
        plan = plan_installation(folder, extension, "index")
        assert not plan.again and plan.update == (left == "check")
        going_on = install(folder, extension)
        assert not going_on.failed and mark.exists()
        told = going_on.report()
        assert "check: " in told and "environment: " not in told and "tools: " not in told and ("packages: " in told) == (left == "packages")


def test_a_newer_wheel_makes_it_outdated_and_the_same_call_updates_it(house: Path, tmp_path: Path, uv: str) -> None:
    extension, folder = tmp_path / "extension", tmp_path / "backend"
    before = make_generator(extension).stat()
    install(folder, extension, uv)
    mark = packages_of(folder) / "torch/mark"
    mark.touch()
    # The same version of the same age with other contents, as while it is developed, then another version.
    wheel = make_generator(extension, code="__version__ += '-changed'")
    os.utime(wheel, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert installed(folder, extension).outdated and installed(folder).outdated is False
    assert not install(folder, extension).failed and version_of(folder) == "0.1.0-changed"
    shutil.rmtree(extension)
    make_generator(extension, "0.2.0")
    plan = plan_installation(folder, extension, "index")
    assert plan.update and plan.download == 0 and "brought up to" in plan.sentence
    assert installed(folder, extension).outdated
    done = install(folder, extension)
    assert not done.failed and version_of(folder) == "0.2.0"
    assert installed(folder, extension) == installer.Installed("0.2.0", "index", "2.99.0+tiny", complete=True, outdated=False)
    assert mark.exists(), "torch was installed again"


def test_another_build_of_torch_gets_a_new_environment(house: Path, tmp_path: Path, uv: str) -> None:
    extension, folder = tmp_path / "extension", tmp_path / "backend"
    make_generator(extension)
    install(folder, extension, uv)
    mark = packages_of(folder) / "torch/mark"
    mark.touch()
    record = environment.read_record(folder)
    record.backend = "cu128"
    record.save(folder)
    assert not install(folder, extension).failed
    assert not mark.exists() and version_of(folder) == "0.1.0"


def test_another_card_or_driver_gets_a_new_environment_where_uv_chose_the_build(house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extension, folder = tmp_path / "extension", tmp_path / "backend"
    wheel = read_package(make_generator(extension))
    python, tool = interpreter_of(folder), tmp_path / "programs/uv"
    python.parent.mkdir(parents=True)
    for program in (python, tool):
        program.touch()
    monkeypatch.setattr(installer, "find_graphics", lambda: graphics.Graphics("a card (driver 580.65.06)", "cuda"))

    def plan_over(card: str, backend: str, digest: str) -> installer.Plan:
        Record("0.1.0", digest, backend, "2.99.0+cu130", "a card", card, list(STEPS), [str(tool)]).save(folder)
        return plan_installation(folder, extension, backend)

    for card in ("a card (driver 580.65.06)", "a card (driver 580.1)", ""):
        assert plan_over(card, "auto", "older").update and plan_over(card, "auto", wheel.digest).again
    for card in ("a card (driver 570.65.06)", "another card (driver 580.65.06)", "no NVIDIA card was found"):
        for digest in ("older", wheel.digest):
            plan = plan_over(card, "auto", digest)
            assert not plan.update and not plan.again and plan.download > 1e9
            assert plan_over(card, "cu126", digest).download == 0, "what was chosen does not depend on the card"


def test_a_cancelled_download_ends_its_programs_and_goes_on_later(house: Path, tmp_path: Path, uv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_house(house, size=3_000_000)
    extension, folder = tmp_path / "extension", tmp_path / "backend"
    make_generator(extension)
    index = Index(house, slow="torch")
    for name in ("UV_OFFLINE", "UV_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.address)
    try:
        folder.mkdir()
        Record(steps=["tools"], uv=[uv]).save(folder)
        installation = Installation(plan_installation(folder, extension, "index"), Path(sys.executable))
        installation.start()
        longest = drive(installation, lambda: installation.phase.startswith("Downloading torch") and installation.done > 0)
        assert 2_900_000 < installation.done < 3_100_000 and 5_900_000 < installation.total < 6_100_000
        begin = time.perf_counter()
        installation.cancel()
        assert time.perf_counter() - begin < 1
        assert max(longest, drive(installation, seconds=10)) < SLOWEST_POLL
        assert installation.cancelled and not installation.failed and "is kept" in installation.message
        assert not installed(folder).complete
        if sys.platform == "linux":
            lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
            assert not [line for line in lines if str(folder).encode() in line], "a program goes on"
        index.release.set()
        done = install(folder, extension)
        assert not done.failed and installed(folder).complete
        assert index.asked.count("diffusers-0.42.0-py3-none-any.whl") == 1, "what had arrived was fetched again"
        assert not list((folder / "cache").glob(".tmp*")), "halves of files were left"
    finally:
        index.close()


@needs_posix
def test_without_venv_pip_from_its_wheel_serves_then_a_uv_on_the_path(house: Path, tmp_path: Path, uv: str) -> None:
    extension, folder, on_path = tmp_path / "extension", tmp_path / "backend", tmp_path / "programs/uv"
    make_generator(extension)
    blender = tmp_path / "python"
    no_venv, no_ensurepip = ('[ "$2" = venv ]', '[ "$1" = -m ] || [ "$3" = install ]')

    def install_with(lacking: str) -> Installation:
        blender.write_text(f'#!/bin/sh\nif {lacking}; then echo "No module named ensurepip"; exit 1; fi\nexec {sys.executable} "$@"\n')
        blender.chmod(0o755)
        installation = Installation(plan_installation(folder, extension, "index"), blender)
        installation.start()
        drive(installation)
        return installation

    wheel = make_wheel(house, "uv", "0.99.0", {f"scripts/{Path(uv).name}": f'#!/bin/sh\nexec {uv} "$@"\n'})
    assert not install_with(no_venv).failed and version_of(folder) == "0.1.0"
    assert (folder / "tools/bin/uv").is_file()
    uninstall(folder)
    on_path.symlink_to(uv)
    assert not install_with(no_ensurepip).failed and not (folder / "tools/bin").exists()
    uninstall(folder)
    wheel.unlink()
    on_path.unlink()
    failed = install_with(no_ensurepip)
    assert failed.failed and "python3-venv" in failed.message


@needs_posix
def test_no_program_outlives_blender(house: Path, tmp_path: Path) -> None:
    make_generator(tmp_path)
    blender, pid = tmp_path / "python", tmp_path / "pid"
    blender.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec /bin/sleep 60\n")
    blender.chmod(0o755)
    program = (
        "import pathlib, sys, time\nfrom jointdit_blender.core.installer import *\nfolder, extension, blender, pid = map(pathlib.Path, sys.argv[1:])\n"
        "installation = Installation(plan_installation(folder, extension, 'index'), blender)\ninstallation.start()\n"
        "while not (pid.exists() and pid.read_text()): installation.poll(); time.sleep(0.02)\n"
    )
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program, tmp_path / "backend", tmp_path, blender, pid], check=True, env=environ, timeout=30)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@needs_posix
def test_a_certificate_that_uv_does_not_know_is_tried_with_the_systems_own(house: Path, tmp_path: Path, uv: str) -> None:
    extension, folder = tmp_path / "extension", tmp_path / "backend"
    make_generator(extension)
    strict = tmp_path / "uv"
    strict.write_text(f'#!/bin/sh\n[ -z "$UV_SYSTEM_CERTS" ] && echo "error: invalid peer certificate: UnknownIssuer" >&2 && exit 2\nexec {uv} "$@"\n')
    strict.chmod(0o755)
    assert not install(folder, extension, str(strict)).failed
    assert version_of(folder) == "0.1.0"


def test_a_generator_that_does_not_start_is_told_and_installed_anew_next_time(house: Path, tmp_path: Path, uv: str) -> None:
    extension, folder = tmp_path / "extension", tmp_path / "backend"
    make_generator(extension, code="raise ImportError('a library is missing')")
    failed = install(folder, extension, uv)
    assert failed.failed and "does not start" in failed.message and "a library is missing" in failed.report()
    assert not installed(folder).complete
    shutil.rmtree(extension)
    make_generator(extension)
    assert not install(folder, extension).failed and installed(folder).complete


def test_a_torch_that_does_not_start_is_mended_by_the_next_try(house: Path, tmp_path: Path, uv: str) -> None:
    extension, folder = tmp_path / "extension", tmp_path / "backend"
    make_generator(extension)
    install(folder, extension, uv)
    (packages_of(folder) / "torch/__init__.py").unlink()
    shutil.rmtree(extension)
    make_generator(extension, "0.2.0")
    failed = install(folder, extension)
    assert failed.failed and "does not start" in failed.message, "an update keeps the torch that is there"
    assert not install(folder, extension).failed and version_of(folder, "torch") == "2.99.0+tiny"


@pytest.mark.parametrize(("notice", "kept"), [("Microsoft Visual C++ Redistributable is not installed, this may lead to a failure.", True), ("", False)])
def test_a_windows_without_the_runtime_is_told_what_to_install(house: Path, tmp_path: Path, uv: str, notice: str, kept: bool) -> None:
    extension, folder = tmp_path / "extension", tmp_path / "backend"
    error = r'[WinError 126] The specified module could not be found. Error loading "C:\env\torch\lib\c10.dll" or one of its dependencies.'
    make_generator(extension, code=f"print({notice!r})\nraise OSError({error!r})")
    failed = install(folder, extension, uv)
    assert failed.failed and failed.message == Failure.NO_RUNTIME.value, failed.report()
    assert "Microsoft" in failed.message and "restart" in failed.message and "nstall again" not in failed.message
    assert ("packages" in environment.read_record(folder).finished) == kept
    assert not installed(folder).complete


def test_what_has_no_fitting_build_is_a_sentence_and_the_report_names_nobody(house: Path, tmp_path: Path, uv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (house / "torch-2.99.0+tiny-py3-none-any.whl").unlink()
    make_wheel(house, "torch", "2.9", {"torch/__init__.py": ""}, tag="cp39-cp39-win_amd64")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://anna:secret@packages.invalid/simple")
    extension, folder = tmp_path / "home/anna.lind/Blender/extension", tmp_path / "home/anna.lind/Blender/backend"
    make_generator(extension)
    failed = install(folder, extension, uv)
    assert failed.failed and "no fitting build" in failed.message
    report = failed.report()
    assert "torch" in report and "~/Blender/backend" in report and failed.message in report and sys.platform in report.lower()
    assert "anna" not in report and "secret" not in report
    shutil.rmtree(tmp_path / "home/anna.lind/Blender")


def test_uninstalling_removes_what_was_made_and_nothing_else(house: Path, tmp_path: Path, uv: str) -> None:
    extension, folder, other = tmp_path / "extension", tmp_path / "user/backend", tmp_path / "other"
    make_generator(extension)
    install(folder, extension, uv)
    (other / "precious").mkdir(parents=True)
    if sys.platform != "win32":
        shutil.rmtree(folder / "cache")
        (folder / "cache").symlink_to(other)
    (folder / "frames").mkdir()
    (folder / "frames/picture.png").touch()
    uninstall(folder)
    assert [path.name for path in folder.iterdir()] == ["frames"] and (folder / "frames/picture.png").is_file()
    assert (other / "precious").is_dir() and installed(folder) is None
    with pytest.raises(InstallError, match="nothing was removed"):
        uninstall(folder)
    shutil.rmtree(folder)
    uninstall(folder)
    Record().save(tmp_path)
    make_house(folder)
    (tmp_path / RECORD).rename(folder / RECORD)
    for wheel in folder.glob("*.whl"):
        wheel.unlink()
    uninstall(folder)
    assert not folder.exists(), "an empty folder was left"


def test_a_plan_says_what_it_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_generator(tmp_path)
    monkeypatch.setattr(installer, "find_graphics", lambda: installer_card())
    folder = tmp_path / "not yet/backend"
    plan = plan_installation(folder, tmp_path)
    assert (plan.folder, plan.package, plan.backend, plan.device) == (folder, wheel, "auto", "NVIDIA GeForce RTX 4090 (driver 580.65.06)")
    assert plan.disk > plan.download > 1e9 and abs(plan.free - shutil.disk_usage(tmp_path).free) < 1e9
    assert not folder.parent.exists(), "a plan makes nothing"
    for part in ("GB are downloaded", str(folder), "RTX 4090", "not changed"):
        assert part in plan.sentence
    on_processor = plan_installation(folder, wheel, "cpu")
    assert on_processor.backend == "cpu" and on_processor.disk < plan.disk / 2 and "processor" in on_processor.sentence


def installer_card() -> object:
    from jointdit_blender.core.graphics import read_cards

    return read_cards("NVIDIA GeForce RTX 4090, 580.65.06, 24564 MiB")


def test_a_plan_refuses_what_cannot_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InstallError, match="ZIP file"):
        plan_installation(tmp_path / "backend", tmp_path)
    wheel = make_generator(tmp_path / "extension")
    (tmp_path / "file").touch()
    with pytest.raises(InstallError, match="can be written"):
        plan_installation(tmp_path / "file/backend", wheel)
    with pytest.raises(InstallError, match="no build of PyTorch"):
        plan_installation(tmp_path / "backend", wheel, "cu128; rm -r")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(installer.shutil, "disk_usage", lambda _: usage(10**12, 10**12 - 10**9, 10**9))
    with pytest.raises(InstallError, match=r"needed in .* only 1\.0 GB are free"):
        plan_installation(tmp_path / "backend", wheel)
    monkeypatch.setattr(installer.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(InstallError, match="Intel"):
        plan_installation(tmp_path / "backend", wheel)
    monkeypatch.undo()
    wheel.write_bytes(wheel.read_bytes()[:-100])
    with pytest.raises(InstallError, match="damaged"):
        plan_installation(tmp_path / "backend", wheel)


def test_a_path_that_windows_cannot_open_is_refused() -> None:
    usual = Path("C:/Users/Anna/AppData/Roaming/Blender Foundation/Blender/4.5/extensions/.user/user_default/jointdit/backend")
    deep = usual.parent / ("a" * 60) / "backend"
    assert path_problem(usual, long_paths=False) == "" and path_problem(deep, long_paths=True) == ""
    assert "characters too long" in path_problem(deep, long_paths=False)


def test_a_path_of_any_length_is_named_as_windows_wants_it() -> None:
    assert environment.long_form(r"C:\Users\Anna") == "\\\\?\\C:\\Users\\Anna"
    assert environment.long_form(r"\\server\share\Anna") == "\\\\?\\UNC\\server\\share\\Anna"
    for already in (r"\\?\C:\Users", r"\\?\UNC\server\share"):
        assert environment.long_form(already) == already


def test_the_same_contents_are_the_same_wheel(tmp_path: Path) -> None:
    first, again = read_package(make_generator(tmp_path / "a")), read_package(make_generator(tmp_path / "b"))
    changed, newer = read_package(make_generator(tmp_path / "c", code="x = 1")), read_package(make_generator(tmp_path / "d", "0.2.0"))
    assert first.digest == again.digest and first.version == "0.1.0" and newer.version == "0.2.0"
    assert len({first.digest, changed.digest, newer.digest}) == 3


@pytest.mark.parametrize("text", ["", "[]", '{"steps": 3, "uv": [1], "version": null}', "{", "\0"])
def test_a_record_that_makes_no_sense_is_an_incomplete_installation(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    assert installed(tmp_path) == installer.Installed("", "", "", complete=False, outdated=False)


def test_indexes_proxies_and_certificates_of_the_person_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ("UV_DEFAULT_INDEX", "UV_INDEX_CORP_PASSWORD", "UV_CONSTRAINT", "PIP_INDEX_URL", "PIP_CERT", "HTTPS_PROXY", "SSL_CERT_FILE", "UV_HTTP_TIMEOUT")
    dropped = ("PIP_TARGET", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "UV_NO_CACHE", "UV_SYSTEM_PYTHON", "UV_PYTHON")
    for name in (*kept, *dropped, "UV_CACHE_DIR"):
        monkeypatch.setenv(name, "mine")
    found = variables(tmp_path)
    assert {name: found.get(name) for name in kept} == dict.fromkeys(kept, "mine")
    assert not found.keys() & set(dropped)
    assert found["UV_CACHE_DIR"] == str(tmp_path / "cache")
