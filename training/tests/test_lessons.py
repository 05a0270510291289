"""The lessons are short, and what they ask about places is answered truly."""

from __future__ import annotations

import re

import pytest

from nano_training.geometry import centre
from nano_training.mixture import Mixture, sample
from nano_training.sample import Picture, Question, Thing
from nano_training.tiling import TILE

LESSONS = ("easy_scene", "easy_count", "easy_place", "easy_word", "easy_text")


def asked(name: str, task: str) -> list[tuple[Question, Picture]]:
    """The questions of a task in the first samples of a lesson."""
    made = [sample(seed, "train", Mixture({name: 1.0})) for seed in range(40)]
    found = [(question, each.pictures[0]) for each in made for question in each.questions if question.task == task]
    assert len(found) > 40
    return found


def named(name: str, picture: Picture) -> Thing:
    """The only thing that a name fits."""
    words = [word for word in name.split() if word not in ("the", "thing")]
    found = [thing for thing in picture.things if all(word in (thing.kind, thing.colour) for word in words)]
    assert len(found) == 1, name
    return found[0]


def place(thing: Thing, picture: Picture) -> dict[str, bool]:
    """What is true of a thing."""
    x, y = (part / side for part, side in zip(centre(thing.box), picture.image.size, strict=True))
    longer = max(thing.box.right - thing.box.left, thing.box.bottom - thing.box.top) / max(picture.image.size)
    return {
        "left": x < 0.5,
        "right": x > 0.5,
        "top": y < 0.5,
        "bottom": y > 0.5,
        "small": longer < 0.3,
        "large": longer > 0.3,
    }


@pytest.mark.parametrize("name", LESSONS)
def test_they_are_short(name: str) -> None:
    for seed in range(20):
        made = sample(seed, "train", Mixture({name: 1.0}))
        assert max(made.pictures[0].image.size) <= TILE
        assert all(question.answer for question in made.questions)


def test_places_are_true() -> None:
    for question, picture in asked("easy_place", "lesson/place"):
        name = re.search(r"the ([a-z ]+?)(?: (?:left|right|top|bottom|small|large)\b|[?:])", question.text.lower())
        assert name is not None, question.text
        true = place(named(name[1], picture), picture)
        if question.answer in ("yes", "no"):
            claimed = question.text.rstrip("?").split()[-1]
            assert true[claimed] == (question.answer == "yes"), question
        else:
            assert true[question.answer], question


def test_of_two_the_right_one_lies_there() -> None:
    for question, picture in asked("easy_scene", "lesson/which"):
        where = re.search(r"is (left|right|above|below)", question.text)
        others = [
            name
            for name in re.findall(r"the ([a-z]+(?: [a-z]+)?)(?= or|[?:])", question.text.lower())
            if name != "other"
        ]
        assert where is not None
        assert len(others) == 2, question.text
        one = named(question.answer, picture)
        (other,) = [thing for thing in (named(name, picture) for name in others) if thing is not one]
        (x, y), (other_x, other_y) = centre(one.box), centre(other.box)
        lies = {"left": x < other_x, "right": x > other_x, "above": y < other_y, "below": y > other_y}
        assert lies[where[1]], question
