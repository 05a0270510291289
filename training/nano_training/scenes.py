"""Scenes of simple things and what can be asked about them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from . import grounding
from . import scene_questions as words
from .sample import TIMES, Question, Sample, Split
from .scene_view import View
from .stage import cast, size_of_picture, staged

Asker = Callable[[View, random.Random], Question | None]
"""Asks one question about a view, or none where there is nothing of its kind to ask."""

WORDS: dict[Asker, float] = {
    words.colour: 1.4,
    words.kind: 1.2,
    words.count: 1.6,
    words.relation: 1.2,
    words.size: 0.9,
    words.yes_or_no: 1.2,
    words.caption: 0.8,
    words.absent: 0.5,
}
BOXES: dict[Asker, float] = {
    grounding.thing: 3.0,
    grounding.every: 1.0,
    grounding.relation: 0.6,
    grounding.caption: 0.9,
    grounding.absent: 0.7,
}
"""Who asks how often."""


def asked(askers: Mapping[Asker, float], count: int, view: View, rng: random.Random) -> list[Question]:
    """At most `count` questions; of those with one task and answer only one, unless that is yes or no."""
    found: dict[str, Question] = {}
    for asker in rng.choices(list(askers), list(askers.values()), k=4 * count):
        question = asker(view, rng)
        if question is not None:
            told = question.text if question.answer in ("yes", "no") else f"{question.task}: {question.answer}"
            found.setdefault(told, question)
        if len(found) == count:
            break
    return list(found.values())


def scene(rng: random.Random, split: Split) -> Sample:
    """One picture of one to eight things with six to ten questions, three of them (two to four) about boxes; in
    training `TIMES` as many about boxes."""
    size = size_of_picture(rng)
    stage = staged(cast(rng), size, rng)
    while not stage.cutouts:
        stage = staged(cast(rng), size, rng)
    picture = stage.picture(rng)
    view = View(picture.things, size)
    boxes = rng.randint(2, 4)
    questions = asked(BOXES, TIMES[split] * boxes, view, rng) + asked(WORDS, rng.randint(6, 10) - boxes, view, rng)
    rng.shuffle(questions)
    return Sample([picture], questions)
