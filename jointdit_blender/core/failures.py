# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pip and uv print when they fail, as a sentence for somebody who has never seen either."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path

from .report import without_tokens

KEPT = "What has been downloaded is kept"


class Failure(Enum):
    """A kind of failure; the value is the sentence. The first whose words are found in the output is meant."""

    SPACE = f"The disk is full. Make room, then install again. {KEPT}."
    CERTIFICATE = (
        "The connection was refused because its certificate is not known here, as happens where a company or a virus scanner reads along. "
        "Ask for its certificate file and name it in the variable SSL_CERT_FILE, or use another network, then install again."
    )
    PROXY = "The proxy of this network refused the connection. Check the system's proxy settings, or the variable HTTPS_PROXY, then install again."
    OFFLINE = "The network is switched off for uv (by the variable UV_OFFLINE). Allow it, then install again."
    NETWORK = f"The package index cannot be reached. Check the connection to the internet, then install again. {KEPT}."
    BROKEN = f"The connection broke while a file was loading. Install again to go on. {KEPT}."
    REFUSED = "The package index refused to answer. Check its address and the name and password for it, then install again."
    DENIED = (
        "A file could not be written. Close other programs that use the image generator, and see whether a virus scanner holds the folder back, "
        "then install again."
    )
    NO_VENV = (
        "Blender's Python cannot make an environment of its own, since it lacks venv or ensurepip. "
        "Install uv, or on Debian and Ubuntu the package python3-venv, then install again."
    )
    NO_BUILD = (
        "For this system, or this version of Python, there is no fitting build of a package. Choose another build of PyTorch, then install again; "
        "else copy the report."
    )
    NO_RUNTIME = (
        "PyTorch does not start, since Windows lacks the Microsoft Visual C++ Redistributable or has an old one. Install the newest from Microsoft "
        "and restart the computer, then go on with the installation: nothing is downloaded again."
    )


RUNTIME_NOTICE = "visual c++ redistributable is not installed"
"""What PyTorch prints where it does not find the runtime; without this a library that does not load may also be one that was lost."""
_WORDS = {
    Failure.SPACE: ("no space left on device", "os error 28)", "not enough space on the disk", "os error 112)", "quota exceeded"),
    Failure.CERTIFICATE: ("invalid peer certificate", "certificate_verify_failed", "certificate verify failed", "unknownissuer"),
    Failure.PROXY: ("tunnel error", "proxy authorization required", "cannot connect to proxy", "proxyerror"),
    Failure.OFFLINE: ("network was disabled", "network is disabled"),
    Failure.NETWORK: (
        *("dns error", "failed to lookup address", "name or service not known", "getaddrinfo failed", "nodename nor servname"),
        *("name resolution", "network is unreachable", "tcp connect error", "newconnectionerror", "no route to host"),
    ),
    Failure.BROKEN: (
        *("timed out", "connection reset", "connection closed", "error decoding response body", "unexpected eof", "end of file"),
        *("failed to read from zip file", "broken pipe", "incompleteread", "protocolerror", "os error 10054)"),
    ),
    Failure.REFUSED: ("401 unauthorized", "403 forbidden", "407 proxy"),
    Failure.DENIED: (
        *("permission denied", "access is denied", "operation not permitted", "read-only file system", "being used by another process"),
        *("winerror 5]", "winerror 32]", "os error 32)"),
    ),
    Failure.NO_VENV: ("ensurepip is not available", "no module named ensurepip", "no module named venv", "no module named pip", "'ensurepip'"),
    Failure.NO_BUILD: ("no solution found", "no matching distribution", "no wheels with a matching", "no interpreter found"),
    Failure.NO_RUNTIME: (RUNTIME_NOTICE, 'c10.dll" or one of its dependencies'),
}


def kind_of(log: str) -> Failure | None:
    """The kind of failure that a program's output tells of; None where it is none of those that are known."""
    lines = log.splitlines()
    # What uv warns of before it fails, such as other Pythons that do not work, is not why it failed. pip writes "ERROR:", and the cause before it.
    told = next((number for number, line in enumerate(lines) if line.startswith("error:")), 0)
    text = "\n".join(lines[told:]).lower()
    return next((failure for failure, words in _WORDS.items() if any(word in text for word in words)), None)


def explain(log: str, code: int | None) -> str:
    """The sentence for a failure: what happened, and what to do next."""
    failure = kind_of(log)
    if failure is not None:
        return failure.value
    if code is not None and code < 0:
        return f"The system ended the installation, as it does when memory runs out. Close other programs, then install again. {KEPT}."
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "it said nothing")
    return f"The installation failed: {last[:200].rstrip('.')}. Install again; if it fails again, copy the report."


def without_names(text: str) -> str:
    """A text for a report: no home folder, no name of an account in a path, no password in an address, no token."""
    home = Path.home()
    for form in {str(home), home.as_posix(), home.as_uri().removeprefix("file://")} - {"", "/"}:
        text = re.sub(rf"{re.escape(form)}(?![\w.-])", "~", text)
    if home.name:
        text = re.sub(rf"(?<=[/\\]){re.escape(home.name)}(?=[/\\\s]|$)", "~", text, flags=re.MULTILINE)
    return without_tokens(re.sub(r"(?<=://)[^/@\s]+@", "", text))
