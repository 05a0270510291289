"""Questions about scenes that are answered with boxes."""

from __future__ import annotations

import random

from .figures import SHAPES
from .sample import Question, markup
from .scene_questions import WHERE
from .scene_view import View
from .wording import UNKNOWN, counted, phrased, plural

PROGRAM = "<|ref|>{label}<|/ref|>."
"""The question of the program's own command; it is asked word for word."""

MARKED = (
    "Locate <|ref|>{label}<|/ref|>.",
    "Locate <|ref|>{label}<|/ref|> in the given image.",
    "Find <|ref|>{label}<|/ref|>.",
    "Where is <|ref|>{label}<|/ref|>?",
    "<|ref|>{label}<|/ref|>",
    "Give the box of <|ref|>{label}<|/ref|>.",
)
ONE = (
    "Where is {label}?",
    "Find {label}.",
    "Point to {label}.",
    "Locate {label}.",
    "Show me {label}.",
    "Give the box of {label}.",
    "Where do you see {label}?",
    "Box of {label}?",
)
ALL = (
    "Point to {label}.",
    "Find {label}.",
    "Locate {label}.",
    "Show me {label}.",
    "Mark {label}.",
    "Give the boxes of {label}.",
    "Where are {label}?",
)
CAPTION = (
    "<|grounding|>Describe this picture.",
    "<|grounding|>Describe this image.",
    "<|grounding|>Can you describe the content of the image?",
    "<|grounding|>What is in the picture?",
    "<|grounding|>What do you see?",
    "<|grounding|>Describe the picture and say where everything is.",
    "<|grounding|>List all things in the picture.",
)
MOST_GROUPS = 4
"""Most groups of a grounded caption."""


def question(label: str, plain: tuple[str, ...], rng: random.Random) -> str:
    """Asks for a label's boxes: half of the time as the program does."""
    style = rng.random()
    if style < 0.5:
        return PROGRAM.format(label=label)
    if style < 0.7:
        return rng.choice(MARKED).format(label=label)
    return phrased(plain, rng, label=label)


def labelled(name: str, rng: random.Random) -> str:
    """ "the red star", seldom without the article."""
    return name if rng.random() < 0.15 else f"the {name}"


def thing(view: View, rng: random.Random) -> Question | None:
    """The box of a thing by a name that is its alone."""
    if not view.nameable:
        return None
    target = rng.choice(view.nameable)
    label = labelled(view.some_name(target, rng), rng)
    return Question("ground/thing", question(label, ONE, rng), markup(label, [target.box], view.size))


def every(view: View, rng: random.Random) -> Question | None:
    """The boxes of all things that a name fits, in reading order; mostly more than one."""
    several = [name for name, number in view.counts.items() if number > 1]
    name = rng.choice(several if several and rng.random() < 0.85 else list(view.counts))
    label = rng.choice(("all {}", "all {}", "all the {}", "{}", "the {}", "every {}"))
    if name in several or not label.startswith("the"):
        label = label.format(name if label.startswith("every") else plural(name))
    else:
        label = f"all {plural(name)}"
    boxes = [found.box for found in view.called(name)]
    return Question("ground/all", question(label, ALL, rng), markup(label, boxes, view.size))


def relation(view: View, rng: random.Random) -> Question | None:
    """The box of the only thing that lies in a direction from another."""
    if not view.neighbours:
        return None
    target, direction, other = rng.choice(view.neighbours)
    noun = rng.choice(("thing", "thing", "object", "shape" if target.kind in SHAPES else "thing"))
    label = f"the {noun} {rng.choice(WHERE[direction][:2])} the {view.some_name(other, rng)}"
    return Question("ground/relation", question(label, ONE, rng), markup(label, [target.box], view.size))


def caption(view: View, rng: random.Random) -> Question | None:
    """The first groups of things in reading order, each with its boxes."""
    groups = view.groups()[:MOST_GROUPS]
    parts = [markup(counted(name, len(found)), [one.box for one in found], view.size) for name, found in groups]
    return Question("caption/grounded", rng.choice(CAPTION), ", ".join(parts))


def absent(view: View, rng: random.Random) -> Question | None:
    """The box of something that is not there."""
    label = labelled(rng.choice(view.absent), rng)
    return Question("absent/scene", question(label, ONE, rng), UNKNOWN)
