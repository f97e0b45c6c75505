# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures of small models against cases that are calculated by hand and against pipelines whose errors are known, and the probe that they ask."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from jointdit import cli
from jointdit.errors import CheckpointError, InputError
from jointdit.evaluation import embedded
from jointdit.evaluation.asked import ANYTHING, Asked, answers, asked, asked_in_other_words
from jointdit.evaluation.borders import edge_ratio, grid_ratio
from jointdit.evaluation.contact_sheet import GAP, contact_sheet
from jointdit.evaluation.damage import blocky, blurred, damaged, shifted
from jointdit.evaluation.embedded import (
    ALL,
    TO_80_M,
    Asking,
    Figure,
    Settings,
    Subject,
    agreement,
    agreement_as_built,
    as_table,
    by_topic,
    depth_figures,
    found_figure,
    measure,
)  # fmt: skip
from jointdit.evaluation.probe import ALWAYS, Network, Probe, Questions, Reading
from jointdit.evaluation.probe_training import loss_of, train_probe
from jointdit.procedural import render
from jointdit.procedural.rewording import reworded
from jointdit.procedural.sampling import sample
from jointdit.training.data import HELD_OUT
from tiny import tiny_pipeline

pytestmark = pytest.mark.usefixtures("one_thread")

# What a prompt asks for


def told(caption: str, **about: Any) -> set[tuple[str, str, str]]:
    return {(one.topic, one.question, one.answer) for one in asked(caption, {"objects": [], **about})}


def thing(shape: str, colour: str, side: str, **more: str) -> dict[str, str]:
    return {"shape": shape, "colour": colour, "side": side, **more}


def test_only_what_is_said_is_asked_for() -> None:
    place = {"kind": "objects", "ground": "grass", "relief": "mountains", "mountains": "snowy", "sky": "clear", "trees": "", "moon": False}
    ball = thing("ball", "red", "left")
    assert told("a red ball", **place, objects=[ball]) == {("shape", "ball side", ANYTHING), ("color", "ball colour", "red")}
    assert told("A red sphere to the left in a meadow.", **place, objects=[ball]) == {
        ("shape", "ball side", ANYTHING), ("color", "ball colour", "red"), ("side", "ball side", "left"), ("ground", "ground", "grass"),
    }  # fmt: skip
    assert told("snowy mountains under a blue sky", **place) == {
        ("relief", "relief", "mountains"), ("mountains", "mountains", "snowy"), ("sky", "sky", "clear"),
    }  # fmt: skip
    assert told("something else", **place, objects=[ball]) == set()


def test_words_that_tell_something_else() -> None:
    # The mountains are snowy, nothing is said of the snow on the ground.
    assert told("snowy mountains", ground="snow") == set()
    assert told("snowy mountains above a field of snow", ground="snow") == {("ground", "ground", "snow")}
    # A place beside another thing is no side of the picture.
    assert told("a red ball to the left of a blue cube", objects=[thing("ball", "red", "left")]) == {
        ("shape", "ball side", ANYTHING), ("color", "ball colour", "red"),
    }  # fmt: skip
    # "White" is the cube, not the walls; "a white floor" may be a studio or a room.
    assert ("walls", "walls", "white") not in told("a white cube in a room", walls="white", kind="room")
    assert ("walls", "walls", "white") in told("a cube in a white room", walls="white", kind="room")
    assert told("on a white floor", floor="white", backdrop="white") == set()
    # A roof belongs to its house, a side to the thing before it.
    things = [thing("house", "white", "right", roof="red"), thing("rock", "grey", "left")]
    found = told("a white house with a red roof on the right and a grey rock on the left", objects=things)
    assert {("roof", "house roof", "red"), ("side", "house side", "right"), ("side", "rock side", "left"), ("color", "rock colour", "grey")} <= found
    assert ("color", "rock colour", "grey") in told("a gray boulder", objects=[thing("rock", "grey", "left")])
    # Trees, but nobody says which.
    assert told("trees at dusk", trees="fir", sky="sunset") == {("trees", "trees", ANYTHING), ("sky", "sky", "sunset")}
    # Keywords stand between commas.
    assert told("a stone wall, stone, cloudy sky", ground="stone", sky="cloudy") == {("ground", "ground", "stone"), ("sky", "sky", "cloudy")}
    assert told("a house by a stone wall", ground="stone") == set()


def test_unknown_attributes_are_told_by_their_own_names() -> None:
    found = told("a boat near a brick mill in the haze", haze=True, industry="mill", signs=["boat"], objects=[{"shape": "boat", "side": "left"}])
    assert found == {("haze", "haze", "True"), ("industry", "industry", "mill"), ("boat", "boat", "True"), ("shape", "boat side", ANYTHING)}


def test_what_a_line_drawing_does_not_show() -> None:
    drawn = {"style": "line", "coloured": False, "sky": "night", "walls": "red", "kind": "room", "objects": [thing("ball", "red", "left")]}
    assert told("line drawing of a ball in a room with red walls at night", **drawn) == {
        ("style", "style", "line"), ("kind of place", "kind", "room"), ("shape", "ball side", ANYTHING),
    }  # fmt: skip
    questions = Questions({"ball colour": ["-", "red"], "ball side": ["-", "left"], "sky": ["-", "night"]})
    np.testing.assert_array_equal(questions.targets(drawn), [0, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(questions.targets({**drawn, "coloured": True}), [0, 1, 0, 1, 0, 0])


def test_things_of_one_shape_share_their_answers() -> None:
    two = [thing("ball", "red", "left"), thing("ball", "blue", "right")]
    found = answers({"objects": two, "sky": "clear", "trees": "", "haze": 0.3})
    assert found == {"sky": ["clear"], "ball colour": ["red", "blue"], "ball side": ["left", "right"]}
    assert [one.alike for one in asked("a red ball and a blue ball", {"objects": two}) if one.topic == "color"] == [2, 2]
    assert [one.alike for one in asked("a red ball", {"objects": two}) if one.topic == "color"] == [1]


def test_a_rewording_asks_for_all_that_it_tells() -> None:
    about = {"kind": "objects", "ground": "grass", "sky": "night", "relief": "hills", "objects": [thing("ball", "red", "left")]}
    found = asked_in_other_words("a ruby marble toward the left edge on turf at midnight", about)
    assert {(one.topic, one.answer) for one in found} == {("ground", "grass"), ("sky", "night"), ("shape", ANYTHING), ("color", "red"), ("side", "left")}
    assert not {"sky", "color"} & {one.topic for one in asked_in_other_words("a ruby marble on turf", {**about, "style": "line", "coloured": False})}
    for seed in range(30):  # the generator's own rewordings
        scene = sample(HELD_OUT + seed).about
        prompt = reworded(scene, seed)
        topics = Counter(one.topic for one in asked_in_other_words(prompt, scene))
        assert topics["shape"] == len(scene["objects"]) and topics["side"] == ("edge" in prompt or "halfway" in prompt)


# The probe


def reading(**chances: list[float]) -> Reading:
    questions = Questions({"sky": ["-", "clear", "night"], "ball colour": ["-", "blue", "green", "red"]})
    return Reading({question.replace("_", " "): torch.tensor(values) for question, values in chances.items()}, questions)


def test_what_a_reading_shows() -> None:
    seen = reading(sky=[0.1, 0.3, 0.6], ball_colour=[0.2, 0.35, 0.05, 0.4])
    assert seen.shows(Asked("sky", "sky", "night")) and not seen.shows(Asked("sky", "sky", "clear"))
    assert seen.shows(Asked("shape", "ball colour", ANYTHING)) and seen.shows(Asked("color", "ball colour", "red"))
    assert not seen.shows(Asked("color", "ball colour", "blue")) and seen.shows(Asked("color", "ball colour", "blue", 2))
    assert not seen.shows(Asked("color", "ball colour", "green", 2))
    # No ball, hence no color, however likely that would be.
    absent = reading(ball_colour=[0.6, 0.0, 0.0, 0.4])
    assert not absent.shows(Asked("shape", "ball colour", ANYTHING)) and not absent.shows(Asked("color", "ball colour", "red"))
    assert not seen.knows(Asked("color", "ball colour", "mauve")) and not seen.knows(Asked("x", "boat colour", ANYTHING))


def test_questions_come_from_scenes() -> None:
    scenes = [{"sky": "clear", "objects": [thing("ball", colour, "left")]} for colour in ("red", "red", "red", "blue")] + [{"sky": "night"}] * 3
    questions = Questions.survey(scenes)
    assert dict(questions.choices) == {"ball colour": ["-", "red"], "ball side": ["-", "left"], "sky": ["-", "clear", "night"]}  # blue is too rare
    np.testing.assert_array_equal(questions.targets({"sky": "night"}), [1, 0, 1, 0, 0, 0, 1])
    np.testing.assert_array_equal(questions.targets({"objects": [thing("ball", "red", "left"), thing("ball", "blue", "left")]}), [0.5, 0.5, 0, 1, 1, 0, 0])


def test_a_probe_learns_what_it_is_shown() -> None:
    torch.manual_seed(0)
    batch = render(range(24), 32)
    questions = Questions({"sky": ["-", "clear", "cloudy", "night", "overcast", "sunset"]})
    network, targets = Network(questions, width=8), torch.tensor(np.stack([questions.targets(about) for about in batch.attributes]))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        loss_of(network(batch.image), targets, questions).backward()
        optimizer.step()
    read = Probe(network.eval(), questions, 32).read(batch.image)
    right = [one.best("sky") == {about.get("sky", "-")} for one, about in zip(read, batch.attributes, strict=True)]
    assert np.mean(right) > 0.9 and len({about.get("sky") for about in batch.attributes}) > 3


class Clock:
    """A second passes whenever somebody looks at it."""

    def __init__(self) -> None:
        self.now = 0

    def monotonic(self) -> int:
        self.now += 1
        return self.now


def test_training_ends_in_time_resumes_and_can_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"size": 32, "batch": 8, "chunk": 4, "examined": 8, "width": 4, "surveyed": 200, "uses": 100}
    monkeypatch.setattr("jointdit.evaluation.probe_training.time", Clock())
    train_probe(tmp_path, "cpu", 0.3, **options)
    first = torch.load(tmp_path / "probe.pt")
    assert 3 < first["step"] < 18 and first["seconds"] <= 18
    found = train_probe(tmp_path, "cpu", 0.6, **options)
    second = torch.load(tmp_path / "probe.pt")
    assert first["step"] + 3 < second["step"] and first["next_seed"] < second["next_seed"] and second["seconds"] <= 36
    assert 0 <= found.asked <= 1 and 0 < found.all <= 1 and 0 <= found.there["kind"] <= 1
    probe = Probe.load(tmp_path)
    assert "kind" in probe.questions.choices and probe.side == 32
    assert all(probe.sure(topic) == (share >= 0.9 or topic in ALWAYS) for topic, share in found.topics.items()) and len(found.topics) > 2
    assert train_probe(tmp_path, "cpu", 0.6, **options).all == found.all  # finished: it is only examined again
    assert torch.load(tmp_path / "probe.pt")["step"] == second["step"]
    for damage in (b"", (tmp_path / "probe.pt").read_bytes()[:1000], b"no state at all"):
        (tmp_path / "probe.pt").write_bytes(damage)
        with pytest.raises(CheckpointError, match=r"probe\.pt is damaged.* Remove it to begin anew"):
            train_probe(tmp_path, "cpu", 0.6, **options)
    torch.save([1], tmp_path / "probe.pt")
    with pytest.raises(CheckpointError, match=r"not from this training"):
        train_probe(tmp_path, "cpu", 0.6, **options)
    with pytest.raises(InputError, match="multiple of 8"):
        train_probe(tmp_path, size=36)
    with pytest.raises(CheckpointError, match="jointdit train probe"):
        Probe.load(tmp_path / "none")


def test_damage() -> None:
    pictures = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    one, same = (damaged(pictures, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, same) and one.shape == pictures.shape and one.min() >= 0 and one.max() <= 1
    torch.testing.assert_close(blocky(pictures, torch.full((3,), 1e-6)), pictures, atol=1e-4, rtol=0)
    flat = torch.full((1, 3, 32, 32), 0.4)
    torch.testing.assert_close(blurred(flat, torch.tensor([1.5])), flat)
    torch.testing.assert_close(shifted(flat, torch.tensor([[0.06, -0.03]]), torch.tensor([0.95])), flat)
    # A strong step leaves the mean of each block only.
    coarse = blocky(pictures, torch.full((3,), 5.0))
    assert coarse.unfold(2, 8, 8).unfold(3, 8, 8).std(dim=(-1, -2)).max() < 1e-3


# Depth


def test_depth_by_hand() -> None:
    """Residuals that sum to nothing at each of two values leave the fit alone, so that the errors are those that were put in."""
    estimate = np.tile([1.0, 1.0, 0.5, 0.5], (4, 2))
    depth = 1 / np.tile([1.1, 0.9, 0.65, 0.35], (4, 2))  # true / estimated: 1.1, 0.9, 1.3, 0.7
    relative, right = depth_figures("x", 0.3 * estimate[None] + 0.1, depth[None], TO_80_M, "to 80 m", (8.0, 93.0))
    assert relative.value == pytest.approx(20.0) and right.value == pytest.approx(50.0) and relative.error is None
    assert (relative.verdict, right.verdict) == ("NO", "NO")
    # The sky and what is beyond 80 m do not count, whatever is there.
    far = np.concatenate([depth, np.array([[np.inf, np.inf, 90.0, 500.0] * 2])])
    wild = np.concatenate([estimate, np.full((1, 8), 7.0)])
    assert depth_figures("x", wild[None], far[None], TO_80_M, "")[0].value == pytest.approx(20.0)
    assert depth_figures("x", wild[None], far[None], ALL, "")[0].value > 40


def test_agreement_by_hand() -> None:
    """What was made reaches from the nearest to the farthest of the scene that was asked for."""
    made, room = np.array([[1.0, 0.5], [0.25, 0.0]]), np.array([[2.0, 3.0], [9.0, 10.0]])
    assert agreement(made, 3 * made - 1, room).abs_rel == pytest.approx(0, abs=1e-9)
    assert agreement(0.2 + 0.6 * made, made, room).delta1 == 1  # it is built from 0 to 1
    estimated = np.array([[1.0, 0.4], [0.35, 0.0]])
    inverse = 0.1 + 0.4 * made  # 2 m to 10 m
    fitted = np.polyval(np.polyfit(estimated.ravel(), inverse.ravel(), 1), estimated)
    expected = np.mean(np.abs(1 / fitted - 1 / inverse) * inverse)
    assert agreement(made, estimated, room).abs_rel == pytest.approx(expected) and expected > 0.02


def test_skies_do_not_count_in_agreement() -> None:
    """Whatever is there, and nothing else does not count."""
    outdoors = np.array([[4.0, 5.0, 20.0, np.inf]])
    made, estimated = np.array([[1.0, 0.8, 0.2, 0.0, 0.04]]), np.array([[1.0, 0.8, 0.2, 0.7, 0.9]])  # 4 m, 5 m, 20 m, the sky, 100 m
    figure = agreement(made, estimated, outdoors)
    assert figure.abs_rel == pytest.approx(0, abs=1e-9) and figure.pixels == 3
    assert agreement(made, np.array([[1.0, 0.3, 0.2, 0.0, 0.0]]), outdoors).abs_rel > 0.1
    assert agreement(made[:, :1], made[:, :1], np.array([[200.0]])).pixels == 1  # nearest is beyond what counts: it counts


def test_agreement_as_built_by_hand() -> None:
    made = np.array([[1.0, 0.5], [0.25, 0.0]])
    assert agreement_as_built(made, 3 * made - 1) == pytest.approx(0, abs=1e-9)
    assert agreement_as_built(0.2 + 0.6 * made, made) == pytest.approx(0, abs=1e-9)  # it is built from 0 to 1
    estimated = np.array([[1.0, 0.4], [0.35, 0.0]])
    inverse = made / 2 + (1 - made) / 40
    fitted = np.polyval(np.polyfit(estimated.ravel(), inverse.ravel(), 1), estimated)
    depth = np.clip(1 / np.maximum(fitted, 1e-3), 2, 40)
    assert agreement_as_built(made, estimated) == pytest.approx(np.mean(np.abs(depth - 1 / inverse) * inverse))
    assert agreement_as_built(made, estimated) > 0.05


class Knowing:
    """A pipeline that knows the right answers: it finds pictures among its scenes. `wrong` gives the disparity of another one."""

    vae_scale_factor, size_multiple, device_at_work = 8, 16, torch.device("cpu")
    config = SimpleNamespace(native_size=32)

    def __init__(self, count: int, wrong: bool = False) -> None:
        self.scenes = render(range(HELD_OUT, HELD_OUT + count), 32)
        self.wrong = wrong
        self.calls: list[tuple[str, int]] = []
        self.seeds: dict[str, set[int]] = {"depth": set(), "joint": set(), "paint": set()}

    def __call__(self, prompt: Any = None, image: Any = None, disparity: Any = None, generator: Any = None, **options: Any) -> SimpleNamespace:
        if image is not None:
            chosen = [int((self.scenes.image - one).abs().sum((1, 2, 3)).argmin()) for one in image]
        elif disparity is not None:
            chosen = [int((self.scenes.disparity - one).abs().sum((1, 2, 3)).argmin()) for one in disparity]
        else:
            chosen = [self.scenes.captions.index(one) if one in self.scenes.captions else 0 for one in ([prompt] if isinstance(prompt, str) else prompt)]
        task = "depth" if image is not None else "paint" if disparity is not None else "joint"
        self.calls.append((task, len(chosen)))
        self.seeds[task] |= {one.initial_seed() for one in (generator if isinstance(generator, list) else [generator])}
        found = [(one + self.wrong) % len(self.scenes.captions) if image is not None else one for one in chosen]
        return SimpleNamespace(images=self.scenes.image[chosen], disparity=self.scenes.disparity[found, 0])


def test_a_pipeline_that_knows_everything_is_perfect() -> None:
    subject = Subject(Knowing(5), Settings(pictures=5, steps=2, batch=2))
    found = {f.what: f for f in measure(subject, None, ("image-to-depth", "agreement", "depth-to-image", "borders", "speed")).figures}
    for what, figure in found.items():
        if "another" in what:
            assert figure.met is None and (figure.value > 5 if "AbsRel" in what else figure.value < 95), what
            continue
        if "AbsRel" in what:
            assert figure.value < 0.1, what
        if "delta1" in what:
            assert figure.value > 99.9, what
        if "renders" in what:
            assert figure.value == pytest.approx(1), what
        assert figure.met is not False, what
    assert len(found) == 6 + 3 + 2 + 6 + 1
    assert found["image to depth: AbsRel, to 80 m"].count == 5
    # What several measures need is made once: three times depth of all pictures, one joint picture and one painting of each, and three pictures for speed.
    counts = {task: sum(count for name, count in subject.pipeline.calls if name == task) for task in ("depth", "joint", "paint")}
    assert not subject.pipeline.seeds["depth"] & (subject.pipeline.seeds["joint"] | subject.pipeline.seeds["paint"])
    assert counts == {"depth": 15, "joint": 5 + 3, "paint": 5} and max(count for _, count in subject.pipeline.calls) == 2


def test_one_picture_has_no_other() -> None:
    found = measure(Subject(Knowing(1), Settings(pictures=1, steps=2)), None, ("image-to-depth",)).figures
    assert len(found) == 4 and not any("another" in figure.what for figure in found)


def test_a_pipeline_that_mistakes_pictures_is_not() -> None:
    found = {f.what: f for f in measure(Subject(Knowing(4, wrong=True), Settings(4, 2)), None, ("image-to-depth", "agreement", "depth-to-image")).figures}
    assert found["joint: its disparity and that of its picture: AbsRel, to 80 m"].value > 5
    for reach in ("AbsRel, to 80 m", "delta1, to 80 m"):
        assert found[f"depth of another image: {reach}"].value == pytest.approx(0 if "Abs" in reach else 100, abs=0.1)  # shifted back
        assert found[f"image to depth: {reach}"].value == pytest.approx(found[f"depth to image: {reach}"].value)  # the same mistakes


# Attributes


def test_shares_of_attributes_with_their_error() -> None:
    sky, ball = Asked("sky", "sky", "night"), Asked("color", "ball colour", "red")
    yes, no = reading(sky=[0, 0, 1.0], ball_colour=[0, 0, 0, 1.0]), reading(sky=[0, 1.0, 0], ball_colour=[1.0, 0, 0, 0])
    unknown = Asked("color", "boat colour", "red")
    wishes, readings = [[sky, ball], [sky], [unknown], [ball]], [yes, no, yes, yes]
    figure = found_figure("x", Asking(wishes, readings), 85.0)
    # 3 of 4; the residuals of the pictures are 0.5, -0.75, 0 and 0.25.
    assert figure.value == 75 and figure.count == 4
    assert figure.error == pytest.approx(100 * np.sqrt((0.25 + 0.5625 + 0.0625) * 4 / 3) / 4)
    assert found_figure("x", Asking(wishes, readings).swapped).value == 100  # only the unknown wish meets the picture that shows nothing
    sky_only = found_figure("x", Asking(wishes, readings).of("sky".__eq__))
    assert (sky_only.value, sky_only.count) == (50, 2)
    topics = by_topic({"renders": Asking(wishes, [yes] * 4), "prompts": Asking(wishes, readings)}, lambda topic: topic == "sky")
    first = embedded.Topic("sky", 2, True, prompts=0.5, renders=1.0)
    assert topics == [first, embedded.Topic("color", 2, False, prompts=1.0, renders=1.0)]


def test_verdicts() -> None:
    assert Figure("x", 7.9, 0.1, 8.0).verdict == "yes" and Figure("x", 8.0, None, 8.0).verdict == "NO"
    assert Figure("x", 8.05, 0.1, 8.0).verdict == "within error" and Figure("x", 84.0, 2.0, 85.0, at_least=True).verdict == "within error"
    assert Figure("x", 93.0, 1.0, 93.0, at_least=True).verdict == "yes" and Figure("x", 1.0).verdict == ""
    table = as_table(embedded.Measured([Figure("depth", 7.94, 0.26, 8.0, count=64), Figure("time", 3.456, None, 10.0, unit="s")], machine="a lamp"))
    assert "| depth | 7.9 ± 0.3 % | under 8 % | yes | 64 |" in table and "| time | 3.46 s | under 10 s | yes |  |" in table and "a lamp" in table


# Borders


def test_a_grid_of_blocks_shows_and_a_ramp_does_not() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 64), (1, 3, 64, 64)).copy()
    assert grid_ratio(ramp, 8) == pytest.approx(1) and edge_ratio(ramp) == pytest.approx(1)
    blocks = np.zeros((1, 1, 64, 64))
    blocks += 0.01 * (np.arange(64) // 8)[None, None, None]  # a step of 0.01 every 8 columns, nothing in the rows
    # Across a border the jump is 0.01, and half of that at both of its neighbors: of 61 places 7 are borders, 14 neighbors, the rest is flat.
    columns = (0.01 + 1e-4) / (14 * 0.005 / 54 + 1e-4)
    assert grid_ratio(blocks, 8) == pytest.approx(columns) and grid_ratio(blocks, 16) < columns
    outlines = np.zeros((1, 1, 64, 64))
    outlines[..., 32:] = 1  # an outline at a border counts as 8 / 255 only
    assert grid_ratio(outlines, 8)[0] < 10
    frame = np.zeros((1, 1, 64, 64))
    frame[..., 0] = frame[..., -1] = 0.02
    assert edge_ratio(frame)[0] > 10


def test_contact_sheet() -> None:
    images, disparities = torch.zeros(3, 3, 4, 6), np.zeros((3, 4, 6), np.float32)
    images[1, 0], disparities[2] = 1, 0.5
    sheet = np.asarray(contact_sheet(images, disparities, columns=2))
    assert sheet.shape == (2 * 4 + GAP, 2 * 12 + GAP, 3)
    assert sheet[0, 12 + GAP].tolist() == [255, 0, 0] and sheet[4 + GAP, 6].tolist() == [128] * 3 and sheet[4, 0].tolist() == [255] * 3
    assert sheet[-1, -1].tolist() == [255] * 3  # no fourth pair


# The command


def test_one_command_prints_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_pipeline(guidance_embeds=False).save_pretrained(tmp_path / "tiny")
    questions = Questions.survey(render(range(60), 16).attributes)
    probe = Probe(Network(questions, 4).eval(), questions, 32)
    probe.save(tmp_path / "probe", {})
    loaded = Probe.load(tmp_path / "probe")
    monkeypatch.setattr(Probe, "load", classmethod(lambda _: loaded))
    figures, sheet = tmp_path / "figures.json", tmp_path / "sheet.png"
    options = ["--model", str(tmp_path / "tiny"), "--pictures", "2", "--steps", "1", "--json", str(figures), "--sheet", str(sheet)]
    report = CliRunner().invoke(cli.main, ["evaluate", "embedded", *options])
    assert report.exit_code == 0, report.output
    told = ("image to depth: AbsRel, to 80 m", "the text encoder was taught", "words that no training saw", "against renders", "1 steps", "| asked for |")
    for words in told:
        assert words in report.output
    written = json.loads(figures.read_text())
    assert len(written["figures"]) == 6 + 3 + 2 + 5 + 6 + 1 and written["protocol"]["farthest"] == 80 and len(written["protocol"]["prompts"]) == 2
    assert all(np.isfinite(figure["value"]) for figure in written["figures"]) and sheet.is_file()
    only = CliRunner().invoke(cli.main, ["evaluate", "embedded", *options[:6], "--only", "agreement"])
    assert only.exit_code == 0 and "agreement" not in only.output and only.output.count("\n|") == 4, only.output
    wrong = CliRunner().invoke(cli.main, ["evaluate", "embedded", "--only", "beauty"])
    assert wrong.exit_code == 1 and "image-to-depth" in wrong.output
    # A sheet that cannot be written costs no figures.
    figures.unlink()
    monkeypatch.setattr("jointdit.evaluation.contact_sheet.contact_sheet", unwritable)
    late = CliRunner().invoke(cli.main, ["evaluate", "embedded", *options, "--only", "agreement"])
    assert late.exit_code == 1 and "The sheet cannot be written" in late.stderr and late.stdout.count("\n|") == 4 and figures.is_file()


def unwritable(*_: object) -> None:
    raise OSError("no space")


def test_what_cannot_be_done_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def works(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(embedded, "measure", works)
    monkeypatch.setattr("jointdit.evaluation.probe_training.train_probe", works)
    for name in ("sheet", "sheet.txt", "sheet.psd"):
        report = CliRunner().invoke(cli.main, ["evaluate", "embedded", "--sheet", str(tmp_path / name)])
        assert report.exit_code == 1 and f"The sheet {name} has no ending of a picture" in report.stderr
    report = CliRunner().invoke(cli.main, ["evaluate", "embedded", "--seed", str(2**63)])
    assert report.exit_code == 2 and "is not in the range" in report.stderr
    report = CliRunner().invoke(cli.main, ["train", "probe", "--device", "foo", "--folder", str(tmp_path / "probe")])
    assert report.exit_code == 1 and "There is no device foo here" in report.stderr
