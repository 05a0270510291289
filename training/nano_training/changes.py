"""One scene twice, with one thing changed in between."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple

from .colours import shade_of
from .geometry import area, overlap
from .sample import COLOURS, Box, Thing
from .scene_view import View, full_name
from .stage import SCENE_KINDS, Actor, Cutout, Size, Stage, drawn, room_for, staged
from .wording import article

Way = Literal["colour", "kind", "place", "presence"]
WAYS: tuple[Way, ...] = ("colour", "kind", "place", "presence")
"""How a thing may change."""


class Change(NamedTuple):
    """What a thing was and what it is; none where it was not or is no longer there."""

    before: Thing | None = None
    after: Thing | None = None

    def in_words(self) -> str:
        """The answer to what is different between the first picture and the second."""
        before, after = self
        if before is None or after is None:
            thing, where = (before, "first") if before is not None else (after, "second")
            return f"the {full_name(thing)} is only in the {where}" if thing is not None else "nothing"
        if before.colour != after.colour:
            return f"the {before.kind} is {before.colour} in the first and {after.colour} in the second"
        if before.kind != after.kind:
            was, is_now = article(before.kind), article(after.kind)
            return f"the {before.colour} thing is {was} in the first and {is_now} in the second"
        return f"the {full_name(before)} is in another place"


def nearby(drawing_size: Size, box: Box, picture: Size) -> Box:
    """A box of a size in the middle of another, moved into the picture."""
    width, height = drawing_size
    left = min(max(0, (box.left + box.right - width) // 2), picture[0] - width)
    top = min(max(0, (box.top + box.bottom - height) // 2), picture[1] - height)
    return Box(left, top, left + width, top + height)


def elsewhere(cutout: Cutout, stage: Stage, rng: random.Random) -> Cutout | None:
    """The thing in another place, if there is room at least half its size away."""
    thing, size = cutout.thing, stage.backdrop.size
    box = room_for(cutout.drawing, size, [other.thing.box for other in stage.cutouts], rng)
    if box is None or max(abs(box.left - thing.box.left), abs(box.top - thing.box.top)) < max(16, cutout.side / 2):
        return None
    return cutout._replace(thing=thing._replace(box=box))


def changed_in(way: Way, cutout: Cutout, stage: Stage, colour: str, rng: random.Random) -> Stage | None:
    """The scene with one thing changed; none if that would take away what it is called by.

    `colour` is a thing's new colour, which nothing in the scene has.
    """
    thing = cutout.thing
    counts = View([other.thing for other in stage.cutouts], stage.backdrop.size).counts
    if way == "place" and counts[full_name(thing)] == 1:
        moved = elsewhere(cutout, stage, rng)
        return None if moved is None else stage.with_instead(cutout, moved)
    if way == "presence" and counts[full_name(thing)] == 1:
        return stage.without(cutout)
    if way == "colour" and counts[thing.kind] == 1:
        drawing = drawn(Actor(thing.kind, colour), shade_of(colour, rng), cutout.side, cutout.outline, cutout.seed)
        return stage.with_instead(cutout, cutout._replace(thing=thing._replace(colour=colour), drawing=drawing))
    if way == "kind" and counts[f"{thing.colour} thing"] == 1:
        kind = rng.choice([other for other in SCENE_KINDS if other != thing.kind])
        drawing = drawn(
            Actor(kind, thing.colour), shade_of(thing.colour, rng), cutout.side, cutout.outline, cutout.seed
        )
        box = nearby(drawing.size, thing.box, stage.backdrop.size)
        others = [other.thing.box for other in stage.cutouts if other is not cutout]
        if any(overlap(box, other) > 0.1 * min(area(box), area(other)) for other in others):
            return None
        return stage.with_instead(cutout, cutout._replace(thing=Thing(kind, thing.colour, box), drawing=drawing))
    return None


def changed(actors: Sequence[Actor], size: Size, rng: random.Random) -> tuple[Stage, Stage, Change]:
    """A scene before and after a change; in half of all cases, and where nothing can change, the same scene."""
    used = {actor.colour for actor in actors}
    colour = rng.choice([colour for colour in COLOURS if colour not in used])
    stage = staged(actors, size, rng, also=[shade_of(colour, rng)])
    if rng.random() < 0.5 or not stage.cutouts:
        return stage, stage, Change()
    cutouts = rng.sample(stage.cutouts, len(stage.cutouts))
    for way in rng.sample(WAYS, len(WAYS)):
        for cutout in cutouts:
            after = changed_in(way, cutout, stage, colour, rng)
            if after is not None:
                return stage, after, difference(stage, after)
    return stage, stage, Change()


def difference(before: Stage, after: Stage) -> Change:
    """What one of two scenes has that the other has not, at most one thing each."""
    first, second = ([cutout.thing for cutout in stage.cutouts] for stage in (before, after))
    gone = [thing for thing in first if thing not in second]
    new = [thing for thing in second if thing not in first]
    return Change(gone[0] if gone else None, new[0] if new else None)
