"""Outlines of simple objects. The thing's colour always fills most of what is seen."""

from __future__ import annotations

import math
import random

from .figures import Figure, Part, arc, rectangle


def cup(rng: random.Random) -> list[Part]:
    """A mug with its handle at the right."""
    height, foot, grip = rng.uniform(1.5, 2.2), rng.uniform(0.6, 0.95), rng.uniform(0.35, 0.5)
    middle = height * 0.45
    return [
        Part(arc(1, middle, grip + 0.22, grip + 0.2)),
        Part(arc(1, middle, grip, grip), "hole"),
        Part([(-1, 0), (1, 0), *arc(0, height, foot, 0.18, 0, 180, 12)]),
        Part(arc(0, 0, 1, 0.22), "shade"),
    ]


def house(rng: random.Random) -> list[Part]:
    """Walls, a roof, a door and a window; sometimes a chimney."""
    wall, roof, eaves = rng.uniform(1.1, 1.5), rng.uniform(0.7, 1.1), rng.uniform(0.05, 0.25)
    door = rng.choice((-0.55, 0.55))
    parts = [
        Part(rectangle(-1, 0, 1, wall)),
        Part([(-1 - eaves, 0), (0, -roof), (1 + eaves, 0)], "shade"),
        Part(rectangle(door - 0.22, wall * 0.42, door + 0.22, wall), "dark"),
        Part(rectangle(-door - 0.3, wall * 0.25, -door + 0.3, wall * 0.65), "pale"),
    ]
    if rng.random() < 0.4:
        parts.insert(0, Part(rectangle(0.4, -roof * 0.95, 0.68, 0), "shade"))
    return parts


def tree(rng: random.Random) -> list[Part]:
    """A fir, or a trunk with a round or lobed crown."""
    half, trunk = rng.uniform(0.14, 0.22), rng.uniform(0.5, 0.8)
    parts = [Part(rectangle(-half, 0.5, half, 1 + trunk), "bark")]
    if rng.random() < 0.4:
        for level in range(3):
            width = 0.62 + 0.19 * level
            top = -1.3 + 0.62 * level
            parts.append(Part([(0, top), (width, top + 1.05), (-width, top + 1.05)]))
        return parts
    if rng.random() < 0.5:
        return [*parts, Part(arc(0, 0, rng.uniform(0.8, 1), rng.uniform(0.9, 1.15)))]
    lobes = [(-0.5, 0.3, 0.6), (0.5, 0.3, 0.6), (0, -0.35, 0.75), (0, 0.35, 0.6)]
    return parts + [Part(arc(x, y, size, size)) for x, y, size in lobes]


def car(rng: random.Random) -> list[Part]:
    """Seen from its left side, in two boxes."""
    roof, nose, wheel = rng.uniform(0.55, 0.7), rng.uniform(0.1, 0.35), rng.uniform(0.26, 0.32)
    cabin = [(-0.95, 0), (-0.6, -roof), (0.35, -roof), (0.75, 0)]
    windows = [[(-0.72, -0.02), (-0.52, -roof + 0.13), (-0.15, -roof + 0.13), (-0.15, -0.02)]]
    windows.append([(-0.02, -0.02), (-0.02, -roof + 0.13), (0.27, -roof + 0.13), (0.53, -0.02)])
    parts = [
        Part(cabin),
        Part([(-1.4, 0.08), (-1.3, -0.04), (0.9, -0.04), (1.45, nose), (1.5, 0.65), (-1.45, 0.65)]),
        *(Part(window, "pale") for window in windows),
    ]
    for x in (-0.85, 0.85):
        parts += [Part(arc(x, 0.62, wheel, wheel), "dark"), Part(arc(x, 0.62, wheel * 0.45, wheel * 0.45), "pale")]
    return parts


def fish(rng: random.Random) -> list[Part]:
    """Swimming to the left."""
    height, tail = rng.uniform(0.5, 0.7), rng.uniform(0.4, 0.6)
    return [
        Part([(0.75, 0), (1.5, -tail), (1.3, 0), (1.5, tail)]),
        Part([(-0.2, -height * 0.9), (0.35, -height * 1.4), (0.5, -height * 0.6)], "shade"),
        Part(arc(0, 0, 1, height)),
        Part([(0.05, 0.05), (0.45, -0.18), (0.45, 0.28)], "shade"),
        Part(arc(-0.6, -0.14, 0.13, 0.13), "pale"),
        Part(arc(-0.62, -0.14, 0.07, 0.07), "dark"),
    ]


def flower(rng: random.Random) -> list[Part]:
    """Petals around a core, with or without a stem."""
    petals, core, size = rng.randint(5, 7), rng.uniform(0.24, 0.34), rng.uniform(0.38, 0.44)
    parts: list[Part] = []
    if rng.random() < 0.5:
        parts += [Part(rectangle(-0.07, 0, 0.07, 2.1), "leaf"), Part(arc(0.32, 1.6, 0.3, 0.13), "leaf")]
    for petal in range(petals):
        angle = 2 * math.pi * petal / petals
        parts.append(Part(arc(0.62 * math.cos(angle), 0.62 * math.sin(angle), size, size)))
    return [*parts, Part(arc(0, 0, core, core), rng.choice(("dark", "pale", "shade")))]


def key(rng: random.Random) -> list[Part]:
    """A bow at the left, a blade and its teeth."""
    head, hole, half = rng.uniform(0.48, 0.6), rng.uniform(0.2, 0.28), rng.uniform(0.1, 0.15)
    parts = [Part(arc(-1, 0, head, head)), Part(arc(-1, 0, hole, hole), "hole")]
    parts.append(Part(rectangle(-1 + head * 0.9, -half, 1.3, half)))
    teeth = (0.65, 1.05) if rng.random() < 0.6 else (0.45, 0.75, 1.05)
    return parts + [Part(rectangle(x, 0, x + 0.2, half + rng.uniform(0.25, 0.4))) for x in teeth]


def lamp(rng: random.Random) -> list[Part]:
    """A shade on a stand."""
    top, height, foot = rng.uniform(0.4, 0.6), rng.uniform(0.85, 1.1), rng.uniform(0.4, 0.6)
    return [
        Part(rectangle(-0.08, height, 0.08, 2.1), "shade"),
        Part([*arc(0, 2.15, foot, 0.24, 180, 360, 12)], "shade"),
        Part([(-top, 0), (top, 0), (1, height), (-1, height)]),
    ]


def boat(rng: random.Random) -> list[Part]:
    """A hull with a mast and one or two sails."""
    height, deep, stern = rng.uniform(1.4, 1.9), rng.uniform(0.4, 0.55), rng.uniform(0.6, 0.9)
    parts = [
        Part(rectangle(-0.06, -height, 0.06, 0), "dark"),
        Part([(0.12, -height), (rng.uniform(0.75, 1), -0.15), (0.12, -0.15)], rng.choice(("body", "tint"))),
        Part([(-1.2, 0), (1.25, 0), (stern, deep), (-0.8, deep)]),
    ]
    if rng.random() < 0.5:
        parts.insert(1, Part([(-0.12, -height * 0.85), (-0.12, -0.15), (-0.75, -0.15)], "tint"))
    return parts


def book(rng: random.Random) -> list[Part]:
    """Closed, seen from the front."""
    half, spine = rng.uniform(0.68, 0.85), rng.uniform(0.15, 0.22)
    parts = [
        Part(rectangle(-half + 0.06, -0.9, half + 0.1, 1.12), "pale"),
        Part(rectangle(-half, -1, half, 1)),
        Part(rectangle(-half, -1, -half + spine, 1.12), "shade"),
    ]
    rules = (-0.6, -0.35)[: rng.randint(1, 2)]
    return parts + [Part(rectangle(-half + spine + 0.2, y, half - 0.2, y + 0.12), "pale") for y in rules]


OBJECTS: dict[str, Figure] = {
    "cup": Figure(cup, 8),
    "house": Figure(house, 4),
    "tree": Figure(tree, 5),
    "car": Figure(car, 10),
    "fish": Figure(fish, 20),
    "flower": Figure(flower, 15),
    "key": Figure(key, 180),
    "lamp": Figure(lamp, 6),
    "boat": Figure(boat, 8),
    "book": Figure(book, 25),
}
