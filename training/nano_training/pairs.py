"""Two pictures: which has more, what has changed, where the same kind of thing is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from PIL import ImageDraw

from .changes import Change, changed
from .colours import shade_of
from .pair_questions import different, marked, more, one, same_category, shown, where
from .sample import Picture, Question, Sample, Split, Thing
from .scene_view import View
from .stage import Actor, Size, Stage, cast, staged

Asker = Callable[[Sequence[View], random.Random], Question | None]
"""Asks one question about two views, or none where there is nothing of its kind to ask."""


def small_size(rng: random.Random) -> Size:
    """The size of a picture that is one tile."""
    return (160, 160) if rng.random() < 0.4 else (rng.randint(120, 160), rng.randint(120, 160))


def framed(picture: Picture, thing: Thing, rng: random.Random) -> Picture:
    """The picture with a red rectangle around a thing."""
    width = rng.randint(2, 3)
    reach = rng.randint(2, 4) + width
    right, bottom = (side - 1 for side in picture.image.size)
    left, top = max(0, thing.box.left - reach), max(0, thing.box.top - reach)
    edges = (left, top, min(right, thing.box.right + reach), min(bottom, thing.box.bottom + reach))
    image = picture.image.copy()
    ImageDraw.Draw(image).rectangle(edges, None, shade_of("red", rng), width)
    return Picture(image, picture.glyphs, picture.things)


def viewed(pictures: Sequence[Picture]) -> list[View]:
    """What can be said of each picture."""
    return [View(picture.things, picture.image.size) for picture in pictures]


def asked(askers: Sequence[Asker], pictures: Sequence[Picture], rng: random.Random) -> list[Question]:
    """One question of each asker that finds one, no two of the same wording."""
    views = viewed(pictures)
    found = (asker(views, rng) for asker in askers)
    return list({question.text: question for question in found if question is not None}.values())


def filled(actors: Sequence[Actor], rng: random.Random) -> Stage:
    """A scene in which at least one of the actors found room."""
    while True:
        stage = staged(actors, small_size(rng), rng)
        if stage.cutouts:
            return stage


def compared(rng: random.Random) -> Sample:
    """Two scenes that share some kinds and colours."""
    actors = cast(rng)
    others = [rng.choice(actors) if rng.random() < 0.6 else other for other in cast(rng)]
    pictures = [filled(some, rng).picture(rng) for some in (actors, others)]
    return Sample(pictures, asked([more, more, more, shown, shown, one, one, where], pictures, rng))


def altered(rng: random.Random) -> Sample:
    """A scene twice, with or without a change in between."""
    before, after, change = changed(cast(rng), small_size(rng), rng)
    if rng.random() < 0.5:
        before, after, change = after, before, Change(change.after, change.before)
    pictures = [stage.picture(rng, quiet=rng.random() < 0.7) for stage in (before, after)]
    return Sample(pictures, different(change, rng) + asked([more, one, one, where], pictures, rng))


def transferred(rng: random.Random) -> Sample:
    """Two scenes with one thing of the same kind, which is marked in the first."""
    second = filled(cast(rng), rng)
    kinds = [cutout.thing.kind for cutout in second.cutouts]
    single = [kind for kind in kinds if kinds.count(kind) == 1]
    if not single:
        return transferred(rng)
    kind = rng.choice(single)
    actors = cast(rng)
    actors[0] = actors[0]._replace(kind=kind)
    first = filled(actors, rng)
    candidates = [cutout.thing for cutout in first.cutouts if cutout.thing.kind == kind]
    if not candidates:
        return transferred(rng)
    source = rng.choice(candidates)
    pictures = [framed(first.picture(rng), source, rng), second.picture(rng)]
    target = next(cutout.thing for cutout in second.cutouts if cutout.thing.kind == kind)
    questions = [same_category(target, viewed(pictures)[1], rng), marked(source, rng)]
    return Sample(pictures, questions + asked([more, shown, one, where], pictures, rng))


def pair(rng: random.Random, split: Split) -> Sample:
    """Two pictures of about one tile with four to eight questions."""
    return rng.choice((compared, altered, transferred, transferred))(rng)
