# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual can be built, leads nowhere that does not exist, loads nothing from elsewhere, and says what the program says."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "benchmarks/RESULTS.md", ROOT / "backend/jointdit/embedded/README.md"]
sys.path.insert(0, str(ROOT / "tools"))

# The built site


class Html(HTMLParser):
    """Anchors, links and what is loaded of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and values.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(values["href"])
        self.loads += [values["src"]] if "src" in values else []
        self.loads += re.findall(r"url\(['\"]?([^)'\"]+)", values.get("style", ""))


def leads_nowhere(page: Path, links: list[str]) -> list[str]:
    """Those of a page's relative links whose file or anchor is not there."""
    broken = []
    for link in links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file() or (parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in Html(target.read_text("utf-8")).anchors):
            broken.append(link)
    return broken


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the one command builds. MkDocs is strict: a warning is an error."""
    folder = tmp_path_factory.mktemp("manual") / "site"
    done = subprocess.run([sys.executable, str(ROOT / "tools/manual.py"), "--output", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == str(folder / "index.html")
    return folder


def test_no_link_of_the_site_leads_nowhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        html = Html(page.read_text("utf-8"))
        links = [link for link in html.links if link not in (".", "")] if page.name != "404.html" else []
        assert leads_nowhere(page, links + [load for load in html.loads if page.name != "404.html"]) == [], page.name


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        loads = Html(text).loads
        assert loads and not [load for load in loads if urlsplit(load).netloc], page.name
        assert 'class="mermaid"' not in text, "the theme would fetch the program that draws diagrams"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import\s*)['\"]?(https?:)?//", sheet.read_text("utf-8")), sheet.name


def test_the_menu_holds_every_page(site: Path) -> None:
    def named(entry: object) -> Iterator[str]:
        for part in entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else ():
            yield from named(part)
        if isinstance(entry, str):
            yield entry

    menu = list(named(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]))
    assert sorted(menu) == sorted({*(page.name for page in PAGES), "model-card.md", "results.md"})
    first = Html((site / "index.html").read_text("utf-8")).links
    assert {name.replace(".md", ".html") for name in menu} <= set(first)


def test_what_is_broken_is_found(site: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<h2 id="here"><a href="#here"><a href="#there"><a href="gone.html"><img src="https://elsewhere.example/a.png"></h2>')
    html = Html(page.read_text())
    assert leads_nowhere(page, html.links) == ["#there", "gone.html"] and html.loads == ["https://elsewhere.example/a.png"]
    # Whatever else is in the folder that is named by mistake stays there.
    done = subprocess.run([sys.executable, str(ROOT / "tools/manual.py"), "--output", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1 and "choose another folder" in done.stderr and page.exists()


# The manual in the extension


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tools/build_extension.py puts into the zip where there is MkDocs."""
    build_extension = pytest.importorskip("build_extension")
    folder = tmp_path_factory.mktemp("shipped") / "docs"
    build_extension.add_manual(folder)
    return folder


def test_the_shipped_manual_is_whole_and_needs_nothing_else(site: Path, shipped: Path) -> None:
    pages = {page.name: Html(page.read_text("utf-8")) for page in shipped.glob("*.html")}
    assert set(pages) == {page.name for page in site.glob("*.html")} - {"404.html"}
    for name, html in pages.items():
        assert set(pages) <= {urlsplit(link).path for link in html.links} | {name}, "the menu holds every page"
        assert leads_nowhere(shipped / name, html.links + html.loads) == [] and not [load for load in html.loads if urlsplit(load).netloc]
        assert "<script" not in (shipped / name).read_text("utf-8")
    files = [path for path in shipped.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".html", ".css", ".png"}
    assert sum(path.stat().st_size for path in files) < 3_000_000


def test_where_nothing_can_build_it_the_text_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_extension = pytest.importorskip("build_extension")
    monkeypatch.setattr(build_extension.importlib.util, "find_spec", lambda name: None)
    build_extension.add_manual(tmp_path / "docs")
    assert {path.name: path.read_bytes() for path in (tmp_path / "docs").iterdir()} == {path.name: path.read_bytes() for path in PAGES}


def test_pages_that_live_elsewhere_lead_back() -> None:
    hooks = pytest.importorskip("manual_hooks")
    assert hooks.moved("[a](../benchmarks/RESULTS.md#x) [b](frame.md)", "panorama.md") == "[a](results.md#x) [b](frame.md)"
    assert hooks.moved("[c](../docs/frame.md) [d](https://example.org)", "results.md") == "[c](frame.md) [d](https://example.org)"


# The texts as they are, which are also read where nothing is built


def prose(text: str) -> str:
    """A Markdown text without its code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(text: str) -> set[str]:
    """Those of a Markdown text's headings, named as code hosts and MkDocs both name them; others had better not be used."""
    headings = [re.sub(r"[*`]|\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in re.findall(r"^#+ +(.+?) *#*$", text, flags=re.MULTILINE)]
    hosts = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    ours = [re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings]
    return {ours for hosts, ours in zip(hosts, ours, strict=True) if hosts == ours}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_no_link_of_a_text_leads_nowhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text("utf-8"))):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        assert target.exists(), f"{link}: no such file"
        assert not parts.fragment or parts.fragment in anchors(prose(target.read_text("utf-8"))), f"{link}: no such heading"


# What the manual says of the program


@cache
def literals(*folders: str) -> tuple[str, ...]:
    """Every text in the source, with … for what is put in, and the text of every operator's tooltip."""
    found = []
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return tuple(found)


def said(sentence: str, texts: tuple[str, ...]) -> bool:
    """Whether the program has a text with all the fixed parts of a sentence, in their order; … stands for what differs."""
    parts = [part.strip() for part in sentence.split("…") if part.strip(" .:“”")]
    pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    return bool(parts) and sum(map(len, parts)) >= 10 and any(pattern.search(text) for text in texts)


def quoted(text: str) -> list[str]:
    """The sentences of the program in a page: its block quotes."""
    return [line.removeprefix("> ").strip() for line in text.splitlines() if line.startswith("> ")]


def test_every_sentence_in_troubleshooting_is_one_of_the_programs() -> None:
    sentences = quoted((DOCS / "troubleshooting.md").read_text("utf-8"))
    texts = literals("jointdit_blender", "backend/jointdit", "tools")
    assert len(sentences) >= 30
    assert [sentence for sentence in sentences if not said(sentence, texts)] == []
    assert len(set(sentences)) == len(sentences)


def test_a_sentence_that_nobody_says_is_found() -> None:
    texts = ("The disk is full, … has no more room; free some space.", "x")
    assert said("The disk is full, … has no more room", texts)
    assert not said("The disk is full, and … has no more room", texts) and not said("has no more room … The disk is full", texts)
    assert not said("…", texts) and not said("x", texts)


def test_every_name_in_bold_is_one_of_the_programs() -> None:
    """In the pages for artists bold is what stands on the screen in a place of ours; Blender's own menus are in italics."""
    texts = {text.rstrip("…").strip() for text in literals("jointdit_blender")}
    for name in ("install.md", "first-scene.md", "panels.md", "troubleshooting.md"):
        bold = re.findall(r"\*\*(.+?)\*\*", prose((DOCS / name).read_text("utf-8")))
        assert len(bold) > 2, name
        assert [word for word in bold if word.rstrip("…").strip() not in texts] == [], name


def labels(folder: str) -> set[str]:
    """What the panels or operators of a folder are called on the screen."""
    found = set()
    for path in (ROOT / "jointdit_blender" / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and [ast.unparse(target) for target in node.targets] == ["bl_label"]:
                found.add(str(node.value.value))
    return found


def test_every_panel_has_its_place_in_the_manual() -> None:
    headings = re.findall(r"^#+ (.+)$", (DOCS / "panels.md").read_text("utf-8"), flags=re.MULTILINE)
    panels = labels("panels")
    assert len(panels) >= 9
    assert panels <= set(headings)


# The commands in the texts


CALLS = {
    ("-m", "jointdit_blender"): ["blender"],
    ("--command", "jointdit"): ["blender"],
    ("tools/scene.py",): ["blender", "scene", "--out", "scene.blend", "--prompt"],
    ("jointdit",): ["backend"],
}
"""How a command of ours begins, what takes it, and what stands before the words that follow."""


def commands() -> list[tuple[str, list[str]]]:
    """Every command of ours in the texts: where it stands; what takes it, and its words."""
    blocks = [(path, block) for path in TEXTS for block in re.findall(r"^```sh\n(.*?)^```", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)]
    found = []
    for path, line in ((path, line) for path, block in blocks for line in block.replace("\\\n", " ").splitlines()):
        words = [Path(word).name if word.endswith("bin/jointdit") else word for word in shlex.split(line, comments=True)]
        calls = [(place, call) for call in CALLS for place in range(len(words)) if tuple(words[place : place + len(call)]) == call]
        if calls and "--help" not in words:
            place, call = calls[0]
            found.append((f"{path.name}: {line}", [*CALLS[call], *words[place + len(call) :]]))
    return found


def test_commands_are_found() -> None:
    kinds = [words[0] for _, words in commands()]
    assert kinds.count("blender") >= 15 and kinds.count("backend") >= 15


@pytest.mark.parametrize(("line", "words"), commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_in_the_texts_is_understood(line: str, words: list[str]) -> None:
    import click
    from jointdit.cli import main

    from jointdit_blender import arguments

    kind, *words = words
    if kind == "blender":
        arguments.parse(words)
        return
    command: click.Command = main
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert [word for word in words if word.startswith("--") and word.split("=")[0] not in options] == [], line
