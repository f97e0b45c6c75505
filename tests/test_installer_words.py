# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the installer reads, from recorded outputs of uv, pip and nvidia-smi, and what it says of them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from jointdit_blender.core import graphics
from jointdit_blender.core.downloads import Growth, read_downloads
from jointdit_blender.core.failures import Failure, explain, kind_of
from jointdit_blender.core.graphics import Graphics, choose_build, find_graphics, read_cards

# Recorded from uv 0.13.9 and pip 23.2.1 by taking away the network, the disk's room, the right to write, and so on; hosts are made up.
UV_FETCH = "Using Python 3.11.7 environment at: env\nerror: Failed to fetch: https://packages.invalid/torch/\n  cause: error sending request for url\n"
OUTPUTS = [
    (
        Failure.NETWORK,
        "error: Request failed after 3 retries in 8.4s\n  cause: client error (Connect)\n  cause: dns error\n  cause: error resolving DNS\n"
        "  cause: failed to lookup address information: Name or service not known",
    ),
    (Failure.NETWORK, UV_FETCH + "  cause: client error (Connect)\n  cause: tcp connect error\n  cause: Connection refused (os error 111)"),
    (
        Failure.NETWORK,
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('Failed to establish a new connection: "
        "[Errno -2] Name or service not known')': /simple/uv/\nERROR: Could not find a version that satisfies the requirement uv<1,>=0.9\n"
        "ERROR: No matching distribution found for uv<1,>=0.9",
    ),
    (Failure.PROXY, UV_FETCH + "  cause: tunnel error: failed to create underlying connection\n  cause: tcp connect error\n  cause: Connection refused"),
    (Failure.PROXY, UV_FETCH + "  cause: client error (Connect)\n  cause: tunnel error: proxy authorization required"),
    (
        Failure.PROXY,
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'ProxyError('Cannot connect to proxy.', NewConnectionError('Failed to establish"
        " a new connection: [Errno 111] Connection refused'))': /simple/uv/\nERROR: No matching distribution found for uv<1,>=0.9",
    ),
    (Failure.CERTIFICATE, UV_FETCH + "  cause: client error (Connect)\n  cause: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))"),
    (
        Failure.CERTIFICATE,
        "Could not fetch URL https://packages.invalid/uv/: There was a problem confirming the ssl certificate: (Caused by SSLError("
        "SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate'))) - skipping\n"
        "ERROR: No matching distribution found for uv==0.9",
    ),
    (
        Failure.SPACE,
        "Resolved 1 package in 0.91ms\nerror: Failed to download `torch==2.9`\n  cause: I/O operation failed during extraction\n"
        "  cause: failed to write to file `cache/.tmpzGeCau/torch/big.bin`: No space left on device (os error 28)",
    ),
    (Failure.SPACE, "error: Failed to install: torch\n  cause: failed to copy file: There is not enough space on the disk. (os error 112)"),
    (Failure.BROKEN, UV_FETCH + "  cause: operation timed out"),
    (
        Failure.BROKEN,
        "error: No solution found when resolving dependencies\n  cause: Because torch==2.9 has an invalid package format and only torch==2.9 is available,"
        " we can conclude that all versions of torch cannot be used.\n\nhint: The structure of `torch` (v2.9) was invalid:\n  Failed to read from zip file",
    ),
    (Failure.DENIED, "error: Failed to create virtual environment\n  cause: failed to create directory `env`: Permission denied (os error 13)"),
    (Failure.DENIED, "Error: [Errno 13] Permission denied: '/nowhere/tools'"),
    (
        Failure.REFUSED,
        "error: No solution found when resolving dependencies\n  cause: Because torch was not found in the package registry, your requirements are"
        " unsatisfiable.\n\nhint: An index (http://packages.invalid/) returned a 403 Forbidden error. Check that the credentials are valid.",
    ),
    (
        Failure.OFFLINE,
        "error: No solution found when resolving dependencies\n  cause: Because torch was not found in the cache and you require torch, your requirements"
        " are unsatisfiable.\n\nhint: Packages were unavailable because the network was disabled.",
    ),
    (
        Failure.NO_BUILD,
        "warning: Failed to inspect Python interpreter\n  cause: Permission denied (os error 13)\nerror: No solution found when resolving dependencies\n"
        "  cause: Because torch==2.9 has no wheels with a matching Python ABI tag (e.g., `cp311`) and jd==1 depends on torch==2.9, jd==1 cannot be used.",
    ),
    (Failure.NO_BUILD, "error: No solution found when resolving dependencies\n  cause: Because only torch==2.7 is available and jd==1 depends on torch>=2.8"),
    (
        Failure.NO_VENV,
        "The virtual environment was not created successfully because ensurepip is not\navailable. On Debian systems you need to install python3-venv\n"
        "Failing command: ['bin/python3', '-m', 'ensurepip']",
    ),
    (Failure.NO_VENV, "Traceback (most recent call last):\n  File \"<string>\", line 2, in <module>\nModuleNotFoundError: No module named 'ensurepip'"),
]


# As PyTorch's own source words it; the first is printed, the second raised.
NO_RUNTIME = (
    "Microsoft Visual C++ Redistributable is not installed, this may lead to the DLL load failure.\nIt can be downloaded from Microsoft.",
    'Traceback (most recent call last):\n  File "<string>", line 3, in <module>\nOSError: [WinError 1114] A dynamic link library (DLL) initialization '
    'routine failed. Error loading "C:\\Users\\anna\\env\\Lib\\site-packages\\torch\\lib\\c10.dll" or one of its dependencies.',
)


def test_a_missing_runtime_of_windows_is_told_from_a_lost_library() -> None:
    assert [kind_of(text) for text in NO_RUNTIME] == [Failure.NO_RUNTIME] * 2
    assert kind_of(NO_RUNTIME[1].replace("c10.dll", "shm.dll").replace("WinError 1114", "WinError 126")) is None
    assert kind_of("error: failed to copy file: torch\\lib\\c10.dll: Access is denied. (os error 5)") is Failure.DENIED


@pytest.mark.parametrize(("failure", "output"), OUTPUTS)
def test_each_common_failure_is_known_and_says_what_to_do(failure: Failure, output: str) -> None:
    assert kind_of(output) is failure
    sentence = explain(output, 2)
    assert sentence == failure.value and "install again" in sentence.lower()


def test_what_is_not_known_is_told_as_it_is() -> None:
    assert kind_of("error: a bug in uv") is None
    assert "a bug in uv" in explain("Resolved 3 packages\nerror: a bug in uv\n", 2)
    assert "memory" in explain("Downloading torch (1.0GiB)", -9)
    assert "said nothing" in explain("", 1)


def test_downloads_are_counted_as_uv_tells_them() -> None:
    said = "Resolved 30 packages in 277ms\nDownloading torch (1.5GiB)\nDownloading numpy (16.1MiB)\nDownloading cpython-3.13.1-linux (download) (20.0MiB)\n"
    begun = read_downloads(said)
    assert begun.done == 0 and begun.total == int(1.5 * 2**30) + int(16.1 * 2**20) + 20 * 2**20
    assert begun.loading == ("torch", "cpython-3.13.1-linux", "numpy")
    later = read_downloads(said + " Downloaded numpy\n Downloaded cpython-3.13.1-linux (download)\n + idna==3.1\n")
    assert later.done == int(16.1 * 2**20) + 20 * 2**20 and later.loading == ("torch",)
    assert read_downloads("  Downloading uv-0.13.9-py3-none-any.whl (17.6 MB)\nPrepared 3 packages").total == 0


def test_what_comes_into_a_folder_is_seen(tmp_path: Path) -> None:
    (tmp_path / "before").write_bytes(bytes(1000))
    growth = Growth(tmp_path)
    time.sleep(0.3)
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/file").write_bytes(bytes(5000))
    end = time.monotonic() + 10
    while growth.nbytes < 5000 and time.monotonic() < end:
        time.sleep(0.05)
    growth.stop()
    assert growth.nbytes == 5000


def test_cards_are_read_and_the_largest_is_meant() -> None:
    said = "NVIDIA GeForce GTX 1050, 580.65.06, 2048 MiB\nNVIDIA RTX A6000, 580.65.06, 49140 MiB\n"
    assert read_cards(said) == Graphics("NVIDIA RTX A6000 (driver 580.65.06)", "cuda")
    assert read_cards("NVIDIA GeForce GTX 770, 471.96, 2048 MiB").outdated
    assert read_cards("NVIDIA GB10, 580.95.05, [N/A]") == Graphics("NVIDIA GB10 (driver 580.95.05)", "cuda")
    for nothing in ("", "No devices were found", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver, sorry, really."):
        assert read_cards(nothing) is None


def test_the_build_suits_the_card_and_the_wish() -> None:
    card, old = Graphics("a card (driver 580.1)", "cuda"), Graphics("a card (driver 470.1)", "cuda", outdated=True)
    none, apple, amd = Graphics("no NVIDIA card was found"), Graphics("Apple GPU", "metal"), Graphics("AMD GPU with ROCm", "rocm")
    assert choose_build("auto", card, "win32").name == "auto" and "a card" in choose_build("auto", card, "win32").words
    assert choose_build("auto", old, "linux").name == "cpu" and "driver" in choose_build("auto", old, "linux").words
    # On its own uv would fetch a build for Intel's cards, on which the image generator does not work.
    assert choose_build("auto", none, "linux").name == "cpu"
    assert choose_build("auto", amd, "linux").name == "auto" and choose_build("auto", apple, "darwin").name == "auto"
    assert choose_build("cu128", none, "linux").name == "cu128" and choose_build("cpu", card, "linux").name == "cpu"
    sizes = {(wish, system): choose_build(wish, card, system) for wish in ("auto", "cpu") for system in ("linux", "win32")}
    assert all(build.disk > build.download > 1e8 for build in sizes.values())
    assert all(sizes["cpu", system].disk < sizes["auto", system].disk / 3 for system in ("linux", "win32"))
    for wrong in ("", "cuda", "cu128 --index x", "CPU"):
        with pytest.raises(ValueError):
            choose_build(wrong, card)


@pytest.mark.skipif(sys.platform != "linux", reason="stands in for nvidia-smi by a script of the shell")
def test_a_driver_that_hangs_fails_or_is_not_there_does_not_hold_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(graphics, "PATIENCE", 0.5)
    assert find_graphics().kind == ""
    program = tmp_path / "nvidia-smi"
    for text, expected in (
        ("echo 'NVIDIA GeForce RTX 4090, 580.65.06, 24564 MiB'", Graphics("NVIDIA GeForce RTX 4090 (driver 580.65.06)", "cuda")),
        ("echo 'NVIDIA-SMI has failed'; exit 9", Graphics("no NVIDIA card was found")),
        ("exec /bin/sleep 60", Graphics("no NVIDIA card was found")),
    ):
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        begin = time.monotonic()
        assert find_graphics() == expected
        assert time.monotonic() - begin < 2
