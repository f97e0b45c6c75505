# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the command line; no Blender is needed to understand them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jointdit_blender.arguments import UsageError, build_options, is_panorama, parse, request

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
def test_what_does_not_fit_a_panorama_is_told(words: list[str], says: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(["scene", *words, *OUT])
    assert says in str(error.value) and error.value.usage.startswith("usage: jointdit scene")


@pytest.mark.parametrize(
    ("words", "task", "given"),
    [
        (["--prompt", "a"], "joint", {}),
        (["--photo", "a.jpg"], "image_to_depth", {"image": Path("a.jpg")}),
        (["--prompt", "a", "--disparity", "d.exr"], "depth_to_image", {"disparity": Path("d.exr")}),
        (["--prompt", "a", "--disparity", "d.exr", "--template", "dome"], "depth_to_image", {}),
        (["--panorama-photo", "a.jpg", "--far", "9"], "panorama_depth", {"image": Path("a.jpg"), "far": 9.0}),
        (["--prompt", "a", "--panorama", "strip"], "panorama", {"kind": "strip"}),
        (["--prompt", "a", "--template", "room"], "joint", {"near": 1.5, "far": 8.0}),
        (["--prompt", "a", "--size", "64x48", "--fov", "70"], "joint", {"width": 64, "height": 48, "horizontal_angle": 70.0}),
    ],
)
def test_what_the_generator_is_asked_for(words: list[str], task: str, given: dict[str, object]) -> None:
    asked = request(parse(["scene", *words, *OUT]))
    assert asked is not None and asked.task == task
    assert {name: getattr(asked, name) for name in given} == given


@pytest.mark.parametrize("words", [["--frame", "a"], ["--image", "a.png", "--disparity", "d.exr"]])
def test_what_is_there_is_not_asked_for(words: list[str]) -> None:
    assert request(parse(["scene", *words, *OUT])) is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "one of the arguments"),
        (["--photo", "a.jpg", "--disparity", "d.exr"], "--image goes together"),
        (["--photo", "a.jpg", "--prompt", "a"], "not allowed with"),
        (["--prompt", "a", "--depth", "d.exr"], "--image goes together"),
        (["--prompt", "a", "--disparity", "d.exr", "--panorama", "sphere"], "does not follow"),
        (["--prompt", "a", "--near", "near"], "near is not a number"),
        (["--prompt", "a", "--seed", "1.5"], "1.5 is not a whole number"),
    ],
)
def test_what_does_not_go_together_is_told(words: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse(["scene", *words, *OUT])


def test_a_switch_takes_back_what_a_template_says() -> None:
    options = build_options(parse(["scene", "--frame", "a", "--template", "room", "--no-floor", "--link", *OUT]))
    assert not options.floor and not options.pack and options.ground == 1.6


def test_the_words_of_the_other_commands() -> None:
    batch = parse(["batch", "list.csv", "--out", "made", "--seed", "3", "--export", "glb", "--render", "--fail-fast"])
    assert (batch.list, batch.out, batch.seed, batch.export, batch.render) == (Path("list.csv"), Path("made"), 3, ["glb"], True)
    assert (batch.fail_fast, batch.retry_failed, batch.log, batch.prompt) == (True, False, None, None)
    assert parse(["doctor", "--python", "python"]).python == Path("python")
    for words in ([], ["batch", "list.csv"], ["batch", "--out", "made"], ["bake"]):
        with pytest.raises(UsageError):
            parse(words)
