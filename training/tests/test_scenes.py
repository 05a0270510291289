"""Scenes, charts and pairs: what is asked is answered truly, and boxes are where things are."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nano_training import generate
from nano_training.changes import changed
from nano_training.colours import shade_of
from nano_training.drawing import FIGURES, draw
from nano_training.geometry import in_reading_order
from nano_training.mixture import SOURCES, Mixture, sample
from nano_training.sample import COLOURS, KINDS, Box, Picture, Question, Sample, Thing
from nano_training.stage import SCENE_KINDS, cast, staged
from nano_training.wording import UNKNOWN, plural

SCENES, CHARTS, PAIRS = (Mixture.parse(name) for name in ("scene", "chart", "pair"))
NOUNS = {plural(kind): kind for kind in KINDS} | {kind: kind for kind in KINDS}
ANYTHING = {"thing", "things", "object", "objects", "item", "items"}
REFERENCE = re.compile(r"<\|ref\|>(.*?)<\|/ref\|><\|det\|>(.*?)<\|/det\|>")


def scenes(count: int = 150) -> list[Sample]:
    """The first scenes of the training split."""
    return [sample(seed, "train", SCENES) for seed in range(count)]


def meant(phrase: str, things: list[Thing]) -> list[Thing]:
    """The things that a phrase fits, found by its words alone."""
    words = phrase.replace("gray", "grey").lower().split()
    colours = [word for word in words if word in COLOURS]
    kinds = [NOUNS[word] for word in words if word in NOUNS]
    assert len(colours) <= 1, phrase
    assert len(kinds) <= 1, phrase
    assert colours or kinds or ANYTHING & set(words), phrase
    return [
        thing for thing in things if all(thing.colour == c for c in colours) and all(thing.kind == k for k in kinds)
    ]


def boxes_of(answer: str) -> list[list[int]]:
    """All boxes of an answer, in its order."""
    return [box for _, boxes in REFERENCE.findall(answer) for box in json.loads(boxes)]


def placed(things: list[Thing], picture: Picture) -> list[list[int]]:
    """Boxes of things as the model writes them."""
    return [list(thing.box.in_thousandths(picture.image.size)) for thing in things]


def asked(task: str, samples: list[Sample]) -> list[tuple[Question, Picture]]:
    """All questions of a task, each with its sample's first picture."""
    found = [(question, made.pictures[0]) for made in samples for question in made.questions if question.task == task]
    assert found, task
    return found


@pytest.mark.parametrize("mixture", [SCENES, CHARTS, PAIRS])
def test_a_seed_determines_a_sample_and_splits_differ(mixture: Mixture) -> None:
    for seed in range(8):
        one, same, other = (sample(seed, split, mixture) for split in ("train", "train", "test"))
        assert one.questions == same.questions
        for a, b in zip(one.pictures, same.pictures, strict=True):
            assert np.array_equal(np.asarray(a.image), np.asarray(b.image))
            assert (a.things, a.glyphs) == (b.things, b.glyphs)
        assert one.questions != other.questions


def test_a_mixture_is_what_it_says() -> None:
    assert Mixture.parse("scene=2, pair=0.5").weights == {"scene": 2.0, "pair": 0.5}
    assert set(Mixture.parse("").weights) == set(SOURCES)
    drawn = Counter(Mixture.parse("scene=3,pair=1").draw(random.Random(seed)) for seed in range(400))
    assert 250 < drawn["scene"] < 350
    with pytest.raises(ValueError, match="scenery"):
        Mixture.parse("scenery=1")


def test_boxes_are_tight_around_drawn_pixels() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        stage = staged(cast(rng), (160, 140), rng)
        # The last one lies on top of all others, so that all of it is seen.
        cutout = stage.cutouts[-1]
        with_it, without = (np.asarray(one.render()).astype(int) for one in (stage, stage.without(cutout)))
        changed_pixels = np.abs(with_it - without).max(axis=2) > 24
        rows, columns = np.nonzero(changed_pixels)
        seen = Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.abs(np.array(seen) - np.array(cutout.thing.box)).max() <= 1, (seed, cutout.thing, seen)


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_most_of_a_thing_has_its_colour(kind: str) -> None:
    for seed in range(6):
        patch = draw(kind, (220, 20, 20), 60, False, random.Random(seed))
        pixels = np.asarray(patch).reshape(-1, 4).astype(int)
        solid = pixels[pixels[:, 3] > 200]
        reddish = (solid[:, 0] > 110) & (solid[:, 1] < 100) & (solid[:, 2] < 100)
        assert reddish.mean() > 0.5, (kind, seed)


def test_colours_are_told_apart() -> None:
    rng = random.Random(0)
    for name in COLOURS:
        for _ in range(20):
            red, green, blue = shade_of(name, rng)
            if name in ("black", "grey", "white"):
                assert max(red, green, blue) - min(red, green, blue) <= 12, name
            if name == "green":
                assert green > max(red, blue)
            if name == "blue":
                assert blue > max(red, green)


def test_names_in_questions_fit_exactly_one_thing() -> None:
    for question, picture in asked("scene/colour", scenes()):
        kind = next(kind for kind in KINDS if re.search(rf"\b{kind}\b", question.text.lower()))
        assert [thing.colour for thing in meant(kind, picture.things)] == [question.answer]
    for question, picture in asked("ground/thing", scenes()):
        label = REFERENCE.findall(question.answer)[0][0]
        assert label in question.text.replace("gray", "grey")
        assert placed(meant(label, picture.things), picture) == boxes_of(question.answer)


def named(text: str) -> list[str]:
    """The names of things in a text, in its order: "red star", "circles", "blue things"."""
    words = re.findall(r"\w+", text.lower().replace("gray", "grey"))
    names = []
    for before, word in zip(["", *words], words, strict=False):
        if word in NOUNS or word in ANYTHING:
            names.append(f"{before} {word}" if before in COLOURS else word)
    return names


def test_counts_are_true() -> None:
    for question, picture in asked("scene/count", scenes()):
        (name,) = named(question.text)
        assert question.answer == str(len(meant(name, picture.things))), question


def test_relations_are_true() -> None:
    sides = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "higher": (1, -1), "below": (1, 1), "lower": (1, 1)}
    checked = 0
    for question, picture in asked("scene/relation", scenes()):
        if question.answer not in ("yes", "no"):
            continue
        ((one,), (other,)) = (meant(name, picture.things) for name in named(question.text))
        # "right" may also be what is asked for at the end: the word between the names counts.
        between = re.search(r"(left|right|above|higher|below|lower)\b.* the ", question.text)
        assert between is not None, question
        axis, sign = sides[between[1]]
        difference = sum(one.box[axis::2]) - sum(other.box[axis::2])
        assert (sign * difference > 0) == (question.answer == "yes"), question
        checked += 1
    assert checked > 20


def test_all_boxes_of_a_name_come_in_reading_order() -> None:
    for question, picture in asked("ground/all", scenes()):
        label = REFERENCE.findall(question.answer)[0][0]
        things = in_reading_order(meant(label, picture.things), lambda thing: thing.box)
        assert boxes_of(question.answer) == placed(things, picture)
    rows = [Box(50, 0, 60, 10), Box(0, 3, 10, 13), Box(0, 30, 10, 40)]
    assert in_reading_order(rows, lambda box: box) == [rows[1], rows[0], rows[2]]


def test_what_is_absent_is_absent() -> None:
    for question, picture in asked("absent/scene", scenes()):
        (name,) = named(question.text)
        assert question.answer == UNKNOWN
        assert meant(name, picture.things) == [], question


def test_captions_name_everything() -> None:
    numbers = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
    for question, picture in asked("caption/plain", scenes()):
        told: Counter[tuple[str, str]] = Counter()
        for phrase in re.split(r", | and ", question.answer):
            number, colour, kind = phrase.split()
            told[colour, NOUNS[kind]] += 1 if number in ("a", "an") else numbers.index(number)
        assert told == Counter((thing.colour, thing.kind) for thing in picture.things)


def test_answers_are_balanced() -> None:
    samples = scenes(1000)
    for task, answers, least in (
        ("scene/yes-no", ("yes", "no"), 0.42),
        ("scene/relation", ("yes", "no"), 0.38),
        ("scene/count", tuple("0123456"), 0.05),
        ("scene/colour", COLOURS, 0.05),
        ("scene/kind", SCENE_KINDS, 0.015),
    ):
        counts = Counter(question.answer for question, _ in asked(task, samples))
        total = sum(counts[answer] for answer in answers)
        for answer in answers:
            assert counts[answer] / total > least, (task, answer, counts)


def test_changes_are_seen() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        before, after, change = changed(cast(rng), (160, 160), rng)
        same = np.array_equal(np.asarray(before.render()), np.asarray(after.render()))
        assert same == (change.in_words() == "nothing"), change


def test_marked_thing_is_found_in_the_second_picture() -> None:
    samples = [sample(seed, "train", PAIRS) for seed in range(60)]
    found = 0
    for made in samples:
        for question in made.questions:
            if question.task == "pair/locate" and ("marked" in question.text or "rectangle" in question.text):
                label = REFERENCE.findall(question.answer)[0][0]
                things = meant(label, made.pictures[1].things)
                assert len(things) == 1
                assert boxes_of(question.answer) == placed(things, made.pictures[1])
                found += 1
    assert found > 10


def test_things_are_known_kinds_inside_their_pictures() -> None:
    for mixture in (SCENES, CHARTS, PAIRS):
        for made in (sample(seed, "test", mixture) for seed in range(40)):
            for picture in made.pictures:
                for thing in picture.things:
                    left, top, right, bottom = thing.box
                    assert thing.kind in KINDS
                    assert thing.colour in COLOURS
                    assert 0 <= left < right <= picture.image.width
                    assert 0 <= top < bottom <= picture.image.height
    assert set(SCENE_KINDS) == set(FIGURES) < set(KINDS)


def test_charts_answer_what_is_printed() -> None:
    for made in (sample(seed, "train", CHARTS) for seed in range(60)):
        picture = made.pictures[0]
        for question in made.questions:
            if question.task == "chart/title":
                printed = "".join(glyph.character for glyph in picture.glyphs)
                assert question.answer.replace(" ", "") in printed
            if question.task == "chart/count" and {thing.kind for thing in picture.things} & {"bar", "slice"}:
                assert question.answer == str(len(picture.things))
            if question.task == "ground/chart":
                assert boxes_of(question.answer)[0] in placed(picture.things, picture)


def test_samples_are_the_same_in_each_process() -> None:
    # The order of a set of texts depends on a secret of the process, which this variable holds.
    program = (
        "from nano_training.mixture import Mixture, sample\n"
        "made = [sample(seed, 'test', Mixture()) for seed in range(60)]\n"
        "print([(one.questions, [picture.image.tobytes() for picture in one.pictures]) for one in made])"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": secret, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for secret in ("1", "2")
    ]
    assert told[0] == told[1]


def test_balanced_files(tmp_path: Path) -> None:
    with generate.stream("test", SCENES, 0, 1) as samples:
        tasks = generate.write(generate.balanced(samples, per_task=3, least=40), tmp_path)
    assert set(tasks.values()) == {3}
    assert len(tasks) > 8
    lines = [json.loads(line) for line in (tmp_path / "questions.jsonl").read_text().splitlines()]
    assert len(lines) == sum(tasks.values())
    assert all((tmp_path / name).is_file() for line in lines for name in line["images"])
    assert Counter(line["task"] for line in lines) == tasks
