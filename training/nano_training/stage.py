"""Scenes: which things there are, how large, where, on what; and the picture of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from PIL import Image

from .backgrounds import background
from .camera import photographed
from .colours import Rgb, shade_of
from .drawing import FIGURES, draw
from .figures import SHAPES
from .geometry import area, overlap
from .objects import OBJECTS
from .sample import COLOURS, Box, Picture, Thing
from .tiling import resolution_for

Size = tuple[int, int]
"""Width and height in pixels."""

SCENE_KINDS = tuple(FIGURES)

SMALLEST, LARGEST = 18, 80
"""The longer side of a thing where the model sees the picture at 160 by 160 pixels."""

MOST_THINGS = 8


class Actor(NamedTuple):
    """What a thing shall be, before it is drawn."""

    kind: str
    colour: str


class Cutout(NamedTuple):
    """A thing, its drawing (RGBA; its top left corner is the box's), and what it was drawn from: see `drawing.draw`."""

    thing: Thing
    drawing: Image.Image
    side: float
    outline: bool
    seed: int


@dataclass(frozen=True)
class Stage:
    """A background and cut-outs on it, from back to front."""

    backdrop: Image.Image
    cutouts: Sequence[Cutout]

    def without(self, cutout: Cutout) -> Stage:
        """The same with one thing taken away."""
        return replace(self, cutouts=[other for other in self.cutouts if other is not cutout])

    def with_instead(self, cutout: Cutout, other: Cutout) -> Stage:
        """The same with one thing in the place of another."""
        return replace(self, cutouts=[other if one is cutout else one for one in self.cutouts])

    def render(self) -> Image.Image:
        """The scene, before a camera sees it."""
        image = self.backdrop.copy()
        for cutout in self.cutouts:
            corner = (int(cutout.thing.box.left), int(cutout.thing.box.top))
            image.paste(cutout.drawing, corner, cutout.drawing)
        return image

    def picture(self, rng: random.Random, quiet: bool = False) -> Picture:
        """The scene as a camera sees it, or as it was drawn if `quiet`, with its things."""
        image = self.render()
        return Picture(image if quiet else photographed(image, rng), things=[cutout.thing for cutout in self.cutouts])


def size_of_picture(rng: random.Random) -> Size:
    """Seven in ten are about one tile, most of them no larger; the rest have any grid."""
    share = rng.random()
    if share < 0.2:
        return (160, 160)
    if share < 0.65:
        return (rng.randint(120, 160), rng.randint(120, 160))
    if share < 0.72:
        return (rng.randint(120, 200), rng.randint(120, 200))
    if share < 0.86:
        return (rng.randint(140, 480), rng.randint(140, 480))
    if share < 0.95:
        short, long = rng.randint(120, 200), rng.randint(400, 1440)
        return (short, long) if rng.random() < 0.5 else (long, short)
    return (rng.randint(300, 1200), rng.randint(300, 1200))


def cast(rng: random.Random) -> list[Actor]:
    """Who plays: anything, or few kinds and colours so that there is something to count and to tell apart."""
    count = rng.choices(range(1, MOST_THINGS + 1), (8, 13, 18, 17, 15, 12, 9, 8))[0]
    family = rng.choices((tuple(SHAPES), tuple(OBJECTS), SCENE_KINDS), (3, 2, 5))[0]
    if rng.random() < 0.5:
        return [Actor(rng.choice(family), rng.choice(COLOURS)) for _ in range(count)]
    kinds = rng.sample(family, rng.randint(1, 3))
    colours = rng.sample(COLOURS, rng.randint(1, 4))
    return [Actor(rng.choice(kinds), rng.choice(colours)) for _ in range(count)]


def sizes_of_things(picture: Size, count: int, rng: random.Random) -> list[float]:
    """Longer sides in pixels, largest first: seen well by the model, and so small that all find room."""
    seen_at = resolution_for(picture)
    smallest = SMALLEST * max(picture[0] / seen_at[0], picture[1] / seen_at[1])
    largest = LARGEST * min(picture) / 160 * min(1.0, (5.5 / (count + 2)) ** 0.5)
    span = max(1.0, largest / smallest)
    return sorted((min(smallest, largest) * span ** rng.betavariate(1.6, 1.2) for _ in range(count)), reverse=True)


def room_for(drawing: Image.Image, picture: Size, taken: Sequence[Box], rng: random.Random) -> Box | None:
    """A place where a drawing covers next to nothing of what is there; none if forty tries find none."""
    width, height = drawing.size
    if width + 2 > picture[0] or height + 2 > picture[1]:
        return None
    for _ in range(40):
        left, top = rng.randint(1, picture[0] - width - 1), rng.randint(1, picture[1] - height - 1)
        box = Box(left, top, left + width, top + height)
        if all(overlap(box, other) <= 0.03 * min(area(box), area(other)) for other in taken):
            return box
    return None


def drawn(actor: Actor, paint: Rgb, side: float, outline: bool, seed: int) -> Image.Image:
    """The cut-out of an actor; the same form for the same seed, whatever the paint."""
    return draw(actor.kind, paint, side, outline, random.Random(seed))


def staged(actors: Sequence[Actor], size: Size, rng: random.Random, also: Sequence[Rgb] = ()) -> Stage:
    """A scene of `size` with these things, or with as many as find room; colours of `also` would be seen on it, too."""
    paints = [shade_of(actor.colour, rng) for actor in actors]
    backdrop, visible = background(size, [*paints, *also], rng)
    outline = not visible or rng.random() < 0.25
    cutouts: list[Cutout] = []
    for actor, paint, side in zip(actors, paints, sizes_of_things(size, len(actors), rng), strict=True):
        seed, taken = rng.getrandbits(32), [cutout.thing.box for cutout in cutouts]
        for smaller in (side, 0.75 * side):
            drawing = drawn(actor, paint, smaller, outline, seed)
            box = room_for(drawing, size, taken, rng)
            if box is not None:
                cutouts.append(Cutout(Thing(actor.kind, actor.colour, box), drawing, smaller, outline, seed))
                break
    return Stage(backdrop, cutouts)
