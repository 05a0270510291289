"""The first lessons: a tile with few things and many short questions, or with a few words to read.

Looking things up is learnt from these within minutes, and hardly ever from all kinds of samples at once.
"""

from __future__ import annotations

import random
import string

from PIL import Image

from . import grounding, words
from .fonts import pick_plain
from .geometry import OPPOSITE, centre
from .page import Page, joined
from .sample import COLOURS, Picture, Question, Sample, Split, Thing, markup
from .scene_questions import COLOUR, COUNT, KIND, LARGER, LARGEST, PRESENT, RELATION, WHERE
from .scene_view import View, full_name
from .stage import SCENE_KINDS, Actor, Size, staged
from .text import EXTRACT, printed, reading
from .tiling import TILE
from .wording import article, plural

PHRASINGS = 2
"""How many of each question's phrasings there are here."""


def easy_scene(rng: random.Random, split: Split) -> Sample:
    """One to five things of as many kinds and colours; all that can be asked about them."""
    return lesson(different(rng), rng)


def easy_count(rng: random.Random, split: Split) -> Sample:
    """One to seven things of one to three kinds and as many colours."""
    kinds, colours = rng.sample(SCENE_KINDS, rng.randint(1, 3)), rng.sample(COLOURS, rng.randint(1, 3))
    return lesson([Actor(rng.choice(kinds), rng.choice(colours)) for _ in range(rng.randint(1, 7))], rng)


SIDES = (("left", "right"), ("top", "bottom"))
LARGE = ("small", "large")
EITHER = ("{one} or {other}, the {name}?", "Is the {name} {one} or {other}?", "The {name}: {one} or {other}?")
"""The thing is named at the end, in the middle and at the beginning: a decoder that only met it at one place looks for
it there."""

WHICH = (
    "Which is {where} the other, the {one} or the {other}?",
    "The {one} or the {other}: which is {where} the other?",
)
DOUBTFUL = (0.44, 0.56)
"""Where a thing's middle is on neither side, as shares of the picture."""
NEITHER = (0.27, 0.35)
"""Longer sides of what is neither large nor small, in tiles."""


def easy_place(rng: random.Random, split: Split) -> Sample:
    """One to five things of as many kinds and colours: where each is and whether it is large, one at a time.

    Relations and comparisons need two of these at once, and are not learnt before them.
    """
    picture, view = shown(different(rng), rng)
    questions = [box(thing, view, rng) for thing in view.nameable[:3]]
    for thing in view.nameable:
        shares = (part / side for part, side in zip(centre(thing.box), view.size, strict=True))
        for sides, share in zip(SIDES, shares, strict=True):
            questions += either(sides, share, DOUBTFUL, view.some_name(thing, rng), rng)
        longer = max(thing.box.right - thing.box.left, thing.box.bottom - thing.box.top)
        questions += either(LARGE, longer / max(view.size), NEITHER, view.some_name(thing, rng), rng)
    return Sample([picture], questions + looked_up(view, rng))


def either(
    answers: tuple[str, str], value: float, doubtful: tuple[float, float], name: str, rng: random.Random
) -> list[Question]:
    """Which of two a thing is by a value of it; nothing if that is doubtful."""
    low, high = doubtful
    if low <= value <= high:
        return []
    true = answers[0] if value < low else answers[1]
    one, other = answers if rng.random() < 0.5 else answers[::-1]
    if rng.random() < 0.4:
        return [Question("lesson/place", f"Is the {name} {one}?", "yes" if one == true else "no")]
    return [Question("lesson/place", rng.choice(EITHER).format(one=one, other=other, name=name), true)]


def different(rng: random.Random) -> list[Actor]:
    """One to five things of as many kinds and colours."""
    count = rng.randint(1, 5)
    pairs = zip(rng.sample(SCENE_KINDS, count), rng.sample(COLOURS, count), strict=True)
    return [Actor(kind, colour) for kind, colour in pairs]


def shown(actors: list[Actor], rng: random.Random) -> tuple[Picture, View]:
    """A scene of at most one tile."""
    size = (rng.randint(TILE * 2 // 3, TILE), rng.randint(TILE * 2 // 3, TILE))
    picture = staged(actors, size, rng).picture(rng)
    return picture, View(picture.things, size)


def looked_up(view: View, rng: random.Random) -> list[Question]:
    """The colour of a thing, the kind of a thing of a colour, and what is there and what is not."""
    questions = []
    for thing in rng.sample(view.nameable, min(1, len(view.nameable))):
        by_kind = rng.choice(COLOUR[:PHRASINGS]).format(name=thing.kind)
        by_colour = rng.choice(KIND[:PHRASINGS]).format(colour=thing.colour, thing="thing")
        if view.counts[thing.kind] == 1:
            questions.append(Question("scene/colour", by_kind, thing.colour))
        if view.counts[f"{thing.colour} thing"] == 1:
            questions.append(Question("scene/kind", by_colour, thing.kind))
    if view.things:
        questions.append(present(rng.choice(list(view.counts)), "yes", rng))
        questions.append(present(rng.choice(view.absent), "no", rng))
    return questions


def lesson(actors: list[Actor], rng: random.Random) -> Sample:
    """All that can be asked about these."""
    picture, view = shown(actors, rng)
    nameable = view.nameable
    questions = [box(thing, view, rng) for thing in rng.sample(nameable, min(4, len(nameable)))]
    questions += looked_up(view, rng)
    if view.things:
        questions += counts(view, rng)
    questions += [ask(view, rng) for ask in (*[relation] * 4, *[which] * 3) if view.relations]
    questions += [larger(view, rng) for _ in range(3) if view.comparisons]
    questions += extremes(view, rng)
    return Sample([picture], questions)


def box(thing: Thing, view: View, rng: random.Random) -> Question:
    """Where a thing is, asked as the program does."""
    label = grounding.labelled(view.some_name(thing, rng), rng)
    return Question("ground/thing", grounding.PROGRAM.format(label=label), markup(label, [thing.box], view.size))


def counts(view: View, rng: random.Random) -> list[Question]:
    """How many there are in all, and of some names: one that is seldom and one that is common, where there is."""
    ordered = sorted(view.counts, key=lambda name: (view.counts[name], rng.random()))
    asked = [("thing", len(view.things)), *((name, view.counts[name]) for name in {ordered[0], *ordered[-2:]})]
    if rng.random() < 0.3:
        asked.append((rng.choice(view.absent), 0))
    texts = [rng.choice(COUNT[:PHRASINGS]).format(names=plural(name)) for name, _ in asked]
    return [Question("scene/count", text, str(number)) for text, (_, number) in zip(texts, asked, strict=True)]


def relation(view: View, rng: random.Random) -> Question:
    """Whether a thing lies in a direction from another."""
    one, direction, other = rng.choice(view.relations)
    true = rng.random() < 0.5
    where = WHERE[direction if true else OPPOSITE[direction]][0]
    one_name, other_name = view.some_name(one, rng), view.some_name(other, rng)
    text = rng.choice(RELATION[:PHRASINGS]).format(one=one_name, where=where, other=other_name)
    return Question("scene/relation", text, "yes" if true else "no")


def which(view: View, rng: random.Random) -> Question:
    """Which of two things lies in a direction from the other: more can be learnt from such an answer than from yes or
    no, of which half are right by chance."""
    one, direction, other = rng.choice(view.relations)
    true = rng.random() < 0.5
    where = WHERE[direction if true else OPPOSITE[direction]][0]
    called = [view.some_name(thing, rng) for thing in (one, other)]
    answer = called[0] if true else called[1]
    rng.shuffle(called)
    text = rng.choice(WHICH).format(where=where, one=called[0], other=called[1])
    return Question("lesson/which", text, f"the {answer}")


def larger(view: View, rng: random.Random) -> Question:
    """Which of two things is the larger or the smaller one."""
    upwards = rng.random() < 0.5
    called = [view.some_name(thing, rng) for thing in rng.choice(view.comparisons)]
    answer = called[0] if upwards else called[1]
    rng.shuffle(called)
    size = "larger" if upwards else "smaller"
    text = rng.choice(LARGER[:PHRASINGS]).format(size=size, one=called[0], other=called[1])
    return Question("scene/size", text, f"the {answer}")


def extremes(view: View, rng: random.Random) -> list[Question]:
    """Which thing is the largest, and which the smallest."""
    found = []
    for size, thing in (("largest", view.extreme(True)), ("smallest", view.extreme(False))):
        if thing is not None and view.counts[full_name(thing)] == 1:
            text = rng.choice(LARGEST[:PHRASINGS]).format(size=size, thing="thing")
            found.append(Question("scene/size", text, f"the {full_name(thing)}"))
    return found


def present(name: str, answer: str, rng: random.Random) -> Question:
    """Asks whether something is there."""
    text = rng.choice(PRESENT[:PHRASINGS]).format(a_name=article(name), names=plural(name))
    return Question("scene/yes-no", text, answer)


def easy_word(rng: random.Random, split: Split) -> Sample:
    """A line of a few characters in large type."""
    return to_read([some_word(rng, split)], rng.uniform(14, 30), rng, split)


def easy_text(rng: random.Random, split: Split) -> Sample:
    """One to three short lines."""
    count = rng.choice((1, 1, 1, 2, 3))
    lines = [words.snippet(rng, split, 14) if rng.random() < 0.6 else some_word(rng, split) for _ in range(count)]
    return to_read(lines, rng.triangular(12, 30, 18), rng, split)


def easy_line(rng: random.Random, split: Split) -> Sample:
    """A line of clean print, over as many tiles as it takes."""
    text = words.snippet(rng, split) if rng.random() < 0.7 else some_word(rng, split)
    page, _ = printed([text], rng, split, clean=True, tight=0.65)
    return Sample([page.picture()], [Question("read/clean-line", reading(rng), text)])


def some_word(rng: random.Random, split: Split) -> str:
    """One to eight characters, mostly such as cannot be guessed."""
    style = rng.random()
    if style < 0.4:
        return "".join(rng.choices(string.ascii_letters, k=rng.randint(1, 8)))
    if style < 0.6:
        return words.characters(rng, rng.randint(1, 8))
    return words.cased(words.cut(words.word(rng, split), 8), rng)


def to_read(lines: list[str], advance: float, rng: random.Random, split: Split) -> Sample:
    """Lines in one plain face, dark on white, as much of them as a tile can hold."""
    face, ink = pick_plain(rng, split), (rng.randrange(40),) * 3
    font = face.for_advance(advance)
    size: Size = (TILE, rng.randint(TILE // 2, TILE))
    page = Page(Image.new("RGB", size, (255, 255, 255)))
    pitch = max(font.height * rng.uniform(1.05, 1.5), 14.0)
    left, top = rng.uniform(2, 30), rng.uniform(0, max(0.0, size[1] - font.height - (len(lines) - 1) * pitch))
    runs = []
    for text in lines:
        if top + font.height > size[1]:
            break
        while font.length(text) > size[0] - left - 2:
            text = text[:-1]
        if text.strip():
            runs.append(page.write(round(left), round(top + font.ascent), text.strip(), font, ink))
        top += pitch
    return Sample([page.picture()], [Question("read/paragraph", EXTRACT, joined(runs))] if runs else [])
