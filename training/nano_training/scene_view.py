"""A scene as those who ask about it see it: what can be said of which thing without doubt."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from .geometry import DIRECTIONS, Direction, area, clearly, in_reading_order, perhaps
from .sample import COLOURS, Box, Thing
from .stage import SCENE_KINDS, Size

CLEARLY_LARGER = 1.25
"""How many times as long the longer side of a thing has to be to be called larger (and its box twice that in area)."""


def full_name(thing: Thing) -> str:
    """ "red star"."""
    return f"{thing.colour} {thing.kind}"


def names(thing: Thing) -> tuple[str, str, str]:
    """All that a thing may be called: "star", "red thing", "red star"."""
    return thing.kind, f"{thing.colour} thing", full_name(thing)


def larger(one: Box, other: Box) -> bool:
    """Whether nobody would doubt that `one` is the larger."""
    sides = [max(box.right - box.left, box.bottom - box.top) for box in (one, other)]
    return sides[0] >= CLEARLY_LARGER * sides[1] and area(one) >= CLEARLY_LARGER**2 * area(other)


class View:
    """The things of one picture. Names are without articles and fit no other thing where they are called unique."""

    def __init__(self, things: Sequence[Thing], size: Size) -> None:
        self.things = list(things)
        self.size = size

    @cached_property
    def counts(self) -> Counter[str]:
        """How many things each name fits; 0 for others."""
        return Counter(name for thing in self.things for name in names(thing))

    @cached_property
    def absent(self) -> list[str]:
        """Names of kinds, colours and both that fit nothing here; of both only where one of the two is here."""
        kinds = list(dict.fromkeys(thing.kind for thing in self.things))
        colours = list(dict.fromkeys(thing.colour for thing in self.things))
        pairs = [f"{colour} {kind}" for colour in COLOURS for kind in kinds]
        pairs += [f"{colour} {kind}" for colour in colours for kind in SCENE_KINDS if kind not in kinds]
        singles = [*SCENE_KINDS, *(f"{colour} thing" for colour in COLOURS)]
        return [name for name in singles + pairs if name not in self.counts]

    def unique_names(self, thing: Thing) -> list[str]:
        """The names that fit this thing alone."""
        return [name for name in names(thing) if self.counts[name] == 1]

    def some_name(self, thing: Thing, rng: random.Random) -> str:
        """One of a nameable thing's unique names."""
        return rng.choice(self.unique_names(thing))

    @cached_property
    def nameable(self) -> list[Thing]:
        """Things that have a unique name."""
        return [thing for thing in self.things if self.unique_names(thing)]

    def called(self, name: str) -> list[Thing]:
        """The things that a name fits, in reading order."""
        return in_reading_order([thing for thing in self.things if name in names(thing)], lambda thing: thing.box)

    def groups(self) -> list[tuple[str, list[Thing]]]:
        """Things of one kind and colour together under their name, in the reading order of each group's first."""
        grouped: dict[str, list[Thing]] = {}
        for thing in in_reading_order(self.things, lambda thing: thing.box):
            grouped.setdefault(full_name(thing), []).append(thing)
        return list(grouped.items())

    def only_one(self, direction: Direction, other: Thing) -> Thing | None:
        """The only thing that might be said to lie in `direction` from `other`, if it clearly does."""
        found = [thing for thing in self.things if thing is not other and perhaps(thing.box, direction, other.box)]
        return found[0] if len(found) == 1 and clearly(found[0].box, direction, other.box) else None

    @cached_property
    def neighbours(self) -> list[tuple[Thing, Direction, Thing]]:
        """All (thing, direction, nameable thing) where the first is the only one in that direction."""
        found = []
        for other in self.nameable:
            for direction in DIRECTIONS:
                thing = self.only_one(direction, other)
                if thing is not None:
                    found.append((thing, direction, other))
        return found

    @cached_property
    def relations(self) -> list[tuple[Thing, Direction, Thing]]:
        """All (nameable thing, direction, nameable thing) that nobody would doubt."""
        return [
            (one, direction, other)
            for one in self.nameable
            for other in self.nameable
            if one is not other
            for direction in DIRECTIONS
            if clearly(one.box, direction, other.box)
        ]

    @cached_property
    def comparisons(self) -> list[tuple[Thing, Thing]]:
        """All pairs of nameable things of which the first is clearly larger."""
        return [(a, b) for a in self.nameable for b in self.nameable if larger(a.box, b.box)]

    def extreme(self, largest: bool) -> Thing | None:
        """The largest or the smallest of at least two things, if there is no doubt."""
        if len(self.things) < 2:
            return None
        first = sorted(self.things, key=lambda thing: area(thing.box), reverse=largest)[0]
        others = (thing.box for thing in self.things if thing is not first)
        beyond = all(larger(first.box, box) if largest else larger(box, first.box) for box in others)
        return first if beyond else None
