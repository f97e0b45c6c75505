# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads from a hub on this machine, by the real huggingface_hub: whole, cut, killed, cancelled, refused; and the command that asks first."""

from __future__ import annotations

import errno
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hub import Hub
from huggingface_hub import close_session, constants
from jointdit.errors import CancelledError, InputError
from jointdit.models_cli import models_folder, models_group
from jointdit.weights.catalogue import FLUX, NEEDED, OFFERS, PIECES, describe, find_offer, size_text
from jointdit.weights.download import DownloadError, DownloadProgress, PlannedFile, download, download_plan, plan_download

ADDONS = "byungki-kwon/JointDiT"
BIG = 300_000  # bytes of a large file here
TOKEN = "hf_good"


def contents(repository: str, name: str) -> bytes:
    """The same random bytes each time: much for weights, little for the rest."""
    return random.Random(f"{repository}/{name}").randbytes(BIG if name.endswith(".safetensors") else 500)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every host that anything in this process looks up; a test fails if one of them is not this machine."""
    seen: list[str] = []
    look_up = socket.getaddrinfo

    def record(host: str | bytes | None, *rest: object, **options: object) -> list:
        seen.append(host.decode() if isinstance(host, bytes) else str(host))
        return look_up("127.0.0.1" if host == "localhost" else host, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", record)
    yield seen
    assert set(seen) <= {"127.0.0.1", "localhost"}


@pytest.fixture
def hub(hosts: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has everything but the add-ons' optional file; nobody is logged in."""
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    close_session()
    files = {(offer.repository, name): contents(offer.repository, name) for offer in OFFERS for name in offer.files if name not in offer.optional}
    with Hub(files, gated={FLUX}, tokens={TOKEN, "hf_stranger"}, accepted={TOKEN}) as server:
        yield server
    close_session()


def silent(_: DownloadProgress) -> None:
    """Nobody listens."""


def planned(hub: Hub, folder: Path, *pieces: str) -> list[PlannedFile]:
    return plan_download(pieces or ("addons",), folder, hub.endpoint, TOKEN)


def fetch(hub: Hub, folder: Path, *pieces: str, report: Callable[[DownloadProgress], None] = silent) -> list[Path]:
    """A download that does not wait between its attempts."""
    return download_plan(planned(hub, folder, *pieces), folder, report, TOKEN, pause=0)


def parts(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.part"))


def sentence(caught: pytest.ExceptionInfo[DownloadError]) -> str:
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and "Traceback" not in text
    return text


def test_everything_comes_whole_and_progress_adds_up(hub: Hub, hosts: list[str], tmp_path: Path) -> None:
    seen: list[DownloadProgress] = []
    paths = download(PIECES, tmp_path / "models", seen.append, hub.endpoint, TOKEN)
    assert len(paths) == len(hub.files) and hosts
    for (repository, name), data in hub.files.items():
        assert (tmp_path / "models" / name).read_bytes() == data, repository
    assert {progress.total for progress in seen} == {sum(map(len, hub.files.values()))}
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen) and seen[-1].done == seen[-1].total
    assert {progress.file for progress in seen} == {name for _, name in hub.files} and not parts(tmp_path)
    assert all(request.login in ("", f"Bearer {TOKEN}") for request in hub.log)
    assert not any(request.login for request in hub.log if "/storage/" in request.path)  # the login stays with the hub
    assert not any("/api/" in request.path for request in hub.log)  # nothing is told to the hub, and nothing comes by other ways


def test_what_is_there_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    fetch(hub, tmp_path, "addons", "tokenizer")
    hub.log.clear()
    seen: list[DownloadProgress] = []
    assert all(file.there and file.missing == 0 for file in planned(hub, tmp_path, "addons", "tokenizer"))
    assert len(fetch(hub, tmp_path, "addons", "tokenizer", report=seen.append)) == 5
    assert {request.method for request in hub.log} == {"HEAD"} and seen == []


def test_a_file_of_another_size_is_fetched_anew(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "jointdit.safetensors").write_bytes(b"short")
    (tmp_path / "jointdit.safetensors.0123.part").write_bytes(b"of an older version")
    fetch(hub, tmp_path)
    assert (tmp_path / "jointdit.safetensors").read_bytes() == contents(ADDONS, "jointdit.safetensors") and not parts(tmp_path)


def test_an_optional_file_comes_where_there_is_one(hub: Hub, tmp_path: Path) -> None:
    assert [path.name for path in fetch(hub, tmp_path / "without")] == ["jointdit.safetensors"]
    hub.files[ADDONS, "jointdit.json"] = b"{}"
    assert [path.name for path in fetch(hub, tmp_path / "with")] == ["jointdit.safetensors", "jointdit.json"]


def test_a_renamed_repository_is_found(hub: Hub, tmp_path: Path) -> None:
    hub.files = {("somebody/Else", name): data for (repository, name), data in hub.files.items() if repository == ADDONS}
    hub.renamed = {ADDONS: "somebody/Else"}
    assert fetch(hub, tmp_path)[0].read_bytes() == contents(ADDONS, "jointdit.safetensors")


def test_the_login_does_not_follow_to_another_host(hub: Hub, tmp_path: Path) -> None:
    hub.files = {("somebody/Else", name): data for (repository, name), data in hub.files.items() if repository == ADDONS}
    hub.renamed = {ADDONS: f"{hub.storage.removesuffix('/storage')}/somebody/Else"}
    fetch(hub, tmp_path)
    assert {(ADDONS in request.path, request.login) for request in hub.log} == {(True, f"Bearer {TOKEN}"), (False, "")}


def test_a_cut_connection_is_taken_up_again(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.cuts = 100_000, 2
    seen: list[DownloadProgress] = []
    paths = fetch(hub, tmp_path, report=seen.append)
    assert paths[0].read_bytes() == contents(ADDONS, "jointdit.safetensors") and seen[-1].done == BIG
    spans = [request.span for request in hub.gets()]
    assert spans[0] == "" and all(span.startswith("bytes=") for span in spans[1:]) and len(spans) == 3


def test_a_silent_line_is_taken_up_again(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)  # seconds
    hub.stall_after = 160_000
    assert fetch(hub, tmp_path)[0].read_bytes() == contents(ADDONS, "jointdit.safetensors")
    assert [request.span != "" for request in hub.gets()] == [False, True]


def test_a_line_that_stays_dead_keeps_the_part_and_the_next_download_goes_on(hub: Hub, tmp_path: Path) -> None:
    def die(_: DownloadProgress) -> None:
        hub.cut_after, hub.cuts = 0, 99  # from the second connection on nothing comes at all

    hub.cut_after, hub.cuts = 100_000, 1
    with pytest.raises(DownloadError, match="What has arrived is kept") as caught:
        download_plan(planned(hub, tmp_path), tmp_path, die, TOKEN, attempts=2, pause=0)
    assert "of 300 kB" in sentence(caught)
    [part] = parts(tmp_path)
    kept = part.stat().st_size
    assert 0 < kept < BIG and not (tmp_path / "jointdit.safetensors").exists()
    hub.cuts = 0
    hub.log.clear()
    seen: list[DownloadProgress] = []
    assert planned(hub, tmp_path)[0].missing == BIG - kept
    fetch(hub, tmp_path, report=seen.append)
    assert [request.span for request in hub.gets()] == [f"bytes={kept}-"]
    assert seen[0].done == kept and seen[-1].done == BIG  # the part is read again, then continued
    assert (tmp_path / "jointdit.safetensors").read_bytes() == contents(ADDONS, "jointdit.safetensors") and not parts(tmp_path)


def test_a_hub_without_ranges_begins_anew(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.cuts, hub.ranges = 100_000, 1, False
    seen: list[DownloadProgress] = []
    paths = fetch(hub, tmp_path, report=seen.append)
    assert paths[0].read_bytes() == contents(ADDONS, "jointdit.safetensors") and seen[-1].done == BIG


def test_a_killed_process_loses_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.stall_after = 120_000
    code = (
        "import sys; from pathlib import Path; from jointdit.weights.download import download\n"
        "download(['addons'], Path(sys.argv[1]), lambda progress: None, sys.argv[2], 'hf_good')"
    )
    backend = Path(__file__).resolve().parents[1] / "backend"
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), hub.endpoint], env=os.environ | {"PYTHONPATH": str(backend)})
    try:
        deadline = time.monotonic() + 20
        while not (parts(tmp_path) and parts(tmp_path)[0].stat().st_size >= hub.stall_after - 4096):
            assert time.monotonic() < deadline and child.poll() is None
            time.sleep(0.01)
        with pytest.raises(DownloadError, match=r"Another download into .* is running"):
            fetch(hub, tmp_path)
    finally:
        child.kill()
        child.wait()
    kept = parts(tmp_path)[0].stat().st_size
    hub.stall_after = 0
    hub.log.clear()
    assert fetch(hub, tmp_path)[0].read_bytes() == contents(ADDONS, "jointdit.safetensors")
    assert [request.span for request in hub.gets()] == [f"bytes={kept}-"]


def test_a_cancel_keeps_the_part(hub: Hub, tmp_path: Path) -> None:
    def stop(progress: DownloadProgress) -> None:
        if progress.done > 50_000:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        fetch(hub, tmp_path, report=stop)
    [part] = parts(tmp_path)
    assert 50_000 < part.stat().st_size < BIG and not (tmp_path / "jointdit.safetensors").exists()
    hub.log.clear()
    fetch(hub, tmp_path)
    assert [request.span != "" for request in hub.gets()] == [True]


def test_damaged_bytes_are_thrown_away(hub: Hub, tmp_path: Path) -> None:
    hub.damage = True
    for pieces in (["addons"], ["tokenizer"]):
        with pytest.raises(DownloadError, match="arrived damaged") as caught:
            fetch(hub, tmp_path, *pieces)
        sentence(caught)
    assert not parts(tmp_path) and not (tmp_path / "jointdit.safetensors").exists()
    hub.damage = False
    fetch(hub, tmp_path)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (None, ["after logging in", "https://huggingface.co/settings/tokens", "hf auth login", "HF_TOKEN", f"https://huggingface.co/{FLUX}"]),
        ("hf_stranger", ["has not been accepted", f"https://huggingface.co/{FLUX}"]),
        ("hf_expired", ["does not know the token", "hf auth login"]),
    ],
)
def test_a_gated_repository_says_what_to_do(hub: Hub, tmp_path: Path, token: str | None, expected: list[str]) -> None:
    with pytest.raises(DownloadError) as caught:
        download(["flux"], tmp_path / "models", silent, hub.endpoint, token)
    assert all(part in sentence(caught) for part in expected)
    assert not (tmp_path / "models").exists()


def test_access_that_ends_in_the_middle_gets_the_same_sentence(hub: Hub, tmp_path: Path) -> None:
    plan = planned(hub, tmp_path, "flux")
    hub.accepted = set()
    with pytest.raises(DownloadError, match="has not been accepted"):
        download_plan(plan, tmp_path, silent, TOKEN, pause=0)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("file", rf"{ADDONS} on .* has no file jointdit.safetensors"), ("repository", f"has no repository {ADDONS}")],
)
def test_what_the_hub_does_not_have_is_named(hub: Hub, tmp_path: Path, missing: str, expected: str) -> None:
    del hub.files[ADDONS, "jointdit.safetensors"]
    if missing == "file":
        hub.files[ADDONS, "README.md"] = b"moved"
    with pytest.raises(DownloadError, match=expected) as caught:
        fetch(hub, tmp_path)
    sentence(caught)


@pytest.mark.parametrize(("status", "expected"), [(503, "busy or out of order"), (429, "busy or out of order"), (400, "refuses"), (200, "is no hub")])
def test_a_hub_out_of_order_gets_a_sentence(hub: Hub, tmp_path: Path, status: int, expected: str) -> None:
    hub.status = status
    with pytest.raises(DownloadError, match=expected) as caught:
        fetch(hub, tmp_path)
    sentence(caught)


def test_no_network_gets_a_sentence(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        with pytest.raises(DownloadError, match="cannot be reached") as caught:
            plan_download(["addons"], tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}/")
    sentence(caught)
    with pytest.raises(DownloadError, match="no address of a hub") as caught:
        plan_download(["addons"], tmp_path, "huggingface")
    sentence(caught)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE") as caught:
        fetch(hub, tmp_path)
    sentence(caught)
    assert hub.log == []


def test_the_endpoint_of_huggingface_hub_is_the_default(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    assert download(["addons"], tmp_path, silent)[0].stat().st_size == BIG


def test_a_disk_without_room_is_seen_before_anything_is_fetched(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 5000, 5000))
    with pytest.raises(DownloadError, match=r"300 kB are needed in .*, but only 5.0 kB are free") as caught:
        fetch(hub, tmp_path / "deep" / "models")
    sentence(caught)
    assert hub.gets() == [] and not (tmp_path / "deep").exists()


def test_a_disk_that_fills_up_keeps_the_part(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(DownloadError, match="The disk is full") as caught:
        patch.setattr(os, "fsync", full)  # where a file system says so that has promised too much
        fetch(hub, tmp_path)
    sentence(caught)
    assert len(parts(tmp_path)) == 1
    hub.log.clear()
    fetch(hub, tmp_path)  # all bytes had come; they are checked, and nothing is fetched
    assert hub.gets() == [] and (tmp_path / "jointdit.safetensors").read_bytes() == contents(ADDONS, "jointdit.safetensors")


def test_a_folder_that_cannot_be_written_gets_a_sentence(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="cannot be written") as caught:
        fetch(hub, tmp_path / "file" / "models")
    sentence(caught)


# The catalogue


def test_every_offer_is_described_for_a_person() -> None:
    assert describe("flux") == (
        "FLUX.1-dev's transformer: flux1-dev.safetensors from huggingface.co/black-forest-labs/FLUX.1-dev, 23.8 GB; "
        "non-commercial licence, which must be accepted on its page after logging in"
    )
    for piece in PIECES:
        offer = find_offer(piece)
        assert size_text(offer.nbytes) in describe(piece) and offer.title in describe(piece) and set(offer.optional) <= set(offer.files)
        assert ("must be accepted" in describe(piece)) == offer.gated
    with pytest.raises(InputError, match="choose among flux, addons"):
        describe("engine")
    assert [size_text(n) for n in (12, 1_600_000, 246_100_000, 4_700_000_000)] == ["12 bytes", "1.6 MB", "246 MB", "4.7 GB"]


# The command


def test_the_command_asks_first(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOINTDIT_HOME", str(tmp_path))
    arguments = ["download", "--piece", "addons", "--endpoint", hub.endpoint]
    declined = CliRunner().invoke(models_group, arguments, input="n\n")
    assert declined.exit_code == 1 and "Continue?" in declined.output and hub.gets() == [] and not models_folder().exists()
    assert "JointDiT's add-ons" in declined.output and "not here yet" in declined.output and "300 kB" in declined.output and "are free" in declined.output
    accepted = CliRunner().invoke(models_group, arguments, input="y\n")
    assert accepted.exit_code == 0, accepted.output
    assert accepted.stdout.splitlines()[-2:] == [str(tmp_path / "models"), f"Next: jointdit models add {tmp_path / 'models'}"]
    assert (tmp_path / "models" / "jointdit.safetensors").stat().st_size == BIG
    again = CliRunner().invoke(models_group, arguments)
    assert again.exit_code == 0 and "already here" in again.output and "Continue?" not in again.output


def test_the_command_fetches_everything_where_nobody_is_asked(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    done = CliRunner().invoke(models_group, ["download", "--folder", str(tmp_path / "my models"), "--endpoint", hub.endpoint, "--yes"])
    assert done.exit_code == 0, done.output
    assert f'jointdit models add "{tmp_path / "my models"}"' in done.output
    needed = [name for offer in OFFERS if offer.piece in NEEDED for name in offer.files if name not in offer.optional]
    assert all((tmp_path / "my models" / name).is_file() for name in needed)
    assert not (tmp_path / "my models" / "tokenizer").exists()  # tokenizers come with the program


def test_the_command_ends_in_a_sentence(hub: Hub, tmp_path: Path) -> None:
    refused = CliRunner().invoke(models_group, ["download", "--piece", "flux", "--folder", str(tmp_path), "--endpoint", hub.endpoint, "--yes"])
    last = refused.output.splitlines()[-1]
    assert refused.exit_code == 1 and last.startswith("Error: ") and last.endswith(".") and "Traceback" not in refused.output
    assert CliRunner().invoke(models_group, ["download", "--piece", "engine"]).exit_code == 2
