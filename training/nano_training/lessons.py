"""The first lessons: a tile with few things and many short questions, or with a few words to read.

Looking things up is learnt from these within minutes, and hardly ever from all kinds of samples at once.
"""

from __future__ import annotations

import random

from PIL import Image

from . import grounding, words
from .fonts import pick_plain
from .page import Page, joined
from .sample import COLOURS, Question, Sample, Split
from .scene_questions import COLOUR, KIND, PRESENT
from .scene_view import View
from .stage import SCENE_KINDS, Actor, staged
from .text import EXTRACT
from .tiling import TILE
from .wording import article, plural

PHRASINGS = 3
"""How many of each question's phrasings there are here."""


def easy_scene(rng: random.Random, split: Split) -> Sample:
    """Two to five things of as many kinds and colours; each is asked for by kind, by colour and by its place."""
    count = rng.randint(2, 5)
    pairs = zip(rng.sample(SCENE_KINDS, count), rng.sample(COLOURS, count), strict=True)
    size = (rng.randint(TILE * 5 // 6, TILE), rng.randint(TILE * 5 // 6, TILE))
    stage = staged([Actor(kind, colour) for kind, colour in pairs], size, rng)
    picture = stage.picture(rng)
    view = View(picture.things, size)
    questions = []
    for thing in view.things:
        by_kind = rng.choice(COLOUR[:PHRASINGS]).format(name=thing.kind)
        by_colour = rng.choice(KIND[:PHRASINGS]).format(colour=thing.colour, thing="thing")
        questions.append(Question("scene/colour", by_kind, thing.colour))
        questions.append(Question("scene/kind", by_colour, thing.kind))
        questions.append(present(thing.kind, "yes", rng))
        questions.append(present(rng.choice(view.absent), "no", rng))
    boxes = [grounding.thing(view, rng) for _ in range(2)] if view.things else []
    return Sample([picture], [*questions, *(question for question in boxes if question is not None)])


def present(name: str, answer: str, rng: random.Random) -> Question:
    """Asks whether something is there."""
    text = rng.choice(PRESENT[:PHRASINGS]).format(a_name=article(name), names=plural(name))
    return Question("scene/yes-no", text, answer)


def easy_text(rng: random.Random, split: Split) -> Sample:
    """One to five short lines in one plain face, dark on white, to be read."""
    face, ink = pick_plain(rng, split), (rng.randrange(40),) * 3
    font = face.for_advance(rng.uniform(8.5, 13))
    page = Page(Image.new("RGB", (TILE, rng.randint(TILE // 2, TILE)), (255, 255, 255)))
    pitch = max(font.height * rng.uniform(1.05, 1.5), 14.0)
    left, top = rng.uniform(2, 20), rng.uniform(0, 6)
    runs = []
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        if top + font.height > page.size[1]:
            break
        text = words.snippet(rng, split, 14)
        while font.length(text) > page.size[0] - left - 2:
            text = text[:-1]
        if text.strip():
            runs.append(page.write(round(left), round(top + font.ascent), text.strip(), font, ink))
        top += pitch
    picture = page.picture()
    return Sample([picture], [Question("read/paragraph", EXTRACT, joined(runs))] if runs else [])
