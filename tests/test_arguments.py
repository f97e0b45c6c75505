# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the command line for panoramas; no Blender is needed to understand them."""

from __future__ import annotations

import pytest

from jointdit_blender.arguments import is_panorama, parse

OUT = ["--out", "a.blend"]
BAY = ["scene", "--prompt", "a bay", *OUT]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ([], None),
        (["--geometry", "dome"], None),
        (["--panorama", "sphere"], "sphere"),
        (["--panorama", "strip"], "strip"),
        (["--template", "dome"], "sphere"),
        (["--template", "dome", "--panorama", "strip"], "strip"),
        (["--template", "points", "--panorama", "sphere"], "sphere"),
    ],
)
def test_what_kind_of_panorama_is_made_from_a_prompt(words: list[str], kind: str | None) -> None:
    arguments = parse([*BAY, *words])
    assert arguments.panorama == kind and is_panorama(arguments) is (kind is not None)


def test_a_template_leaves_a_frame_as_it_is() -> None:
    assert not is_panorama(parse(["scene", "--frame", "a", "--template", "dome", *OUT]))


def test_what_a_sphere_is_made_of() -> None:
    words = ["--panorama", "sphere", "--around", "frame", "--part", "up=clouds = white", "--part", "down=sea", "--views", "14"]
    arguments = parse([*BAY, *words])
    assert dict(arguments.part) == {"up": "clouds = white", "down": "sea"}
    assert (str(arguments.around), arguments.views) == ("frame", 14)
    photograph = parse(["scene", "--panorama-photo", "a.jpg", "--views", "6", *OUT])
    assert is_panorama(photograph) and str(photograph.panorama_photo) == "a.jpg"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--frame", "a", "--panorama", "sphere"], "goes together with --prompt"),
        (["--panorama-photo", "a.jpg", "--panorama", "sphere"], "goes together with --prompt"),
        (["--panorama-photo", "a.jpg", "--prompt", "a"], "not allowed with"),
        (["--panorama-photo", "a.jpg", "--fov", "70"], "--fov has no meaning"),
        (["--panorama-photo", "a.jpg", "--part", "up=clouds"], "belong to --panorama sphere"),
        (["--prompt", "a", "--panorama", "cube"], "invalid choice"),
        (["--prompt", "a", "--panorama", "sphere", "--fov", "70"], "--fov has no meaning"),
        (["--prompt", "a", "--template", "dome", "--fov", "70"], "--fov has no meaning"),
        (["--prompt", "a", "--panorama", "sphere", "--backdrop", "9"], "is no backdrop"),
        (["--prompt", "a", "--panorama", "strip", "--template", "backdrop"], "is no backdrop"),
        (["--prompt", "a", "--panorama", "strip", "--around", "frame"], "belong to --panorama sphere"),
        (["--prompt", "a", "--part", "up=clouds"], "belong to --panorama sphere"),
        (["--prompt", "a", "--views", "6"], "belongs to --panorama sphere"),
        (["--prompt", "a", "--panorama", "sphere", "--views", "7"], "invalid choice"),
        (["--prompt", "a", "--panorama", "sphere", "--part", "above=clouds"], "is no part"),
        (["--prompt", "a", "--panorama", "sphere", "--part", "up="], "is no part"),
    ],
)
def test_what_does_not_fit_a_panorama_is_told(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["scene", *words, *OUT])
    assert says in capsys.readouterr().err
