# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny wheels that stand in for the image generator and what it needs, and an index on this machine that hands them out."""

from __future__ import annotations

import base64
import hashlib
import http.server
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

TORCH = """
__version__ = "2.99.0+tiny"
class cuda:
    is_available = staticmethod(lambda: False)
class backends:
    class mps:
        is_available = staticmethod(lambda: False)
"""


def make_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str | bytes], requires: Sequence[str] = (), extra: str = "", tag: str = "py3-none-any"
) -> Path:
    """Write a wheel with these files. What it `requires` belongs to its `extra`, where one is named. Names in “scripts/” become programs."""
    folder.mkdir(parents=True, exist_ok=True)
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (f"Provides-Extra: {extra}\n" if extra else "")
    metadata += "".join(f"Requires-Dist: {need}{f'; extra == {extra!r}' if extra else ''}\n" for need in requires)
    contents = {path.replace("scripts/", f"{name}-{version}.data/scripts/"): text for path, text in files.items()}
    contents |= {f"{about}/METADATA": metadata, f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"}
    wheel = folder / f"{name}-{version}-{tag}.whl"
    listing = []
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            data = text.encode() if isinstance(text, str) else text
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (0o100755 if "/scripts/" in path else 0o100644) << 16
            archive.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            listing.append(f"{path},sha256={digest},{len(data)}")
        archive.writestr(f"{about}/RECORD", "\n".join([*listing, f"{about}/RECORD,,"]) + "\n")
    return wheel


def make_generator(folder: Path, version: str = "0.1.0", code: str = "") -> Path:
    """The wheel of an extension: `folder` is the extension's. It asks for torch and diffusers in its extra “runtime”, as the true one does."""
    files = {"jointdit/__init__.py": f"__version__ = {version!r}\n{code}\n"}
    return make_wheel(folder / "backend", "jointdit", version, files, ["torch>=2.8", "diffusers"], "runtime")


def make_house(folder: Path, size: int = 0) -> Path:
    """A folder with the wheels of torch and diffusers, which have `size` more bytes."""
    more = {"big.bin": hashlib.shake_128(b"torch").digest(size)} if size else {}
    make_wheel(folder, "torch", "2.99.0+tiny", {"torch/__init__.py": TORCH} | {f"torch/{path}": data for path, data in more.items()})
    make_wheel(folder, "diffusers", "0.42.0", {"diffusers/__init__.py": ""} | {f"diffusers/{path}": data for path, data in more.items()})
    return folder


class Index:
    """A package index on the loopback interface. Wheels of the project `slow` begin and do not end before `release`."""

    def __init__(self, house: Path, slow: str) -> None:
        self.asked: list[str] = []
        self.release = threading.Event()
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/").split("/")[-1].replace("%2B", "+")
                index.asked.append(name)
                wheel = house / name.removesuffix(".metadata")
                if name.endswith(".metadata"):
                    with zipfile.ZipFile(wheel) as archive:
                        body = archive.read(next(entry for entry in archive.namelist() if entry.endswith("/METADATA")))
                elif name.endswith(".whl"):
                    body = wheel.read_bytes()
                else:
                    pages = [f'<a href="/{path.name}" data-core-metadata="true">{path.name}</a>' for path in house.glob(f"{name}-*.whl")]
                    body = "\n".join(pages).encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "application/octet-stream" if ".whl" in name else "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                half = len(body) // 2 if name.startswith(slow) and name.endswith(".whl") else len(body)
                try:
                    self.wfile.write(body[:half])
                    self.wfile.flush()
                    if half < len(body) and index.release.wait(30):
                        self.wfile.write(body[half:])
                except ConnectionError:
                    return

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
