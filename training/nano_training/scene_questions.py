"""Questions about scenes that are answered in words."""

from __future__ import annotations

import random

from .figures import SHAPES
from .geometry import OPPOSITE, Direction
from .sample import COLOURS, Question
from .scene_view import View, full_name
from .stage import SCENE_KINDS
from .wording import THINGS, UNKNOWN, article, counted, listed, phrased, plural

WHERE: dict[Direction, tuple[str, ...]] = {
    "left": ("left of", "to the left of", "on the left of"),
    "right": ("right of", "to the right of", "on the right of"),
    "above": ("above", "higher than"),
    "below": ("below", "lower than"),
}

COLOUR = (
    "What colour is the {name}?",
    "Which colour is the {name}?",
    "What is the colour of the {name}?",
    "Which colour does the {name} have?",
    "Tell me the colour of the {name}.",
    "Name the colour of the {name}.",
    "The {name} is what colour?",
    "Colour of the {name}?",
    "{name} colour?",
    "What colour do you see on the {name}?",
)
KIND = (
    "What is the {colour} {thing}?",
    "What kind of {thing} is {colour}?",
    "Which {thing} is {colour}?",
    "Which {thing} here is {colour}?",
    "What sort of {thing} is the {colour} one?",
    "Name the {colour} {thing}.",
    "Tell me what the {colour} {thing} is.",
    "The {colour} {thing} is a what?",
    "{colour} {thing}?",
)
SIDE = (
    "What is {where} the {name}?",
    "What {noun} is {where} the {name}?",
    "Which {noun} is {where} the {name}?",
    "What do you see {where} the {name}?",
    "Name the {noun} {where} the {name}.",
    "Tell me what is {where} the {name}.",
    "What kind of {noun} is {where} the {name}?",
)
COUNT = (
    "How many {names} are there?",
    "How many {names} do you see?",
    "How many {names} are in the picture?",
    "How many {names} does this image show?",
    "How many {names}?",
    "Count the {names}.",
    "Number of {names}?",
    "Tell me how many {names} there are.",
    "What is the number of {names}?",
    "Can you count the {names}?",
)
RELATION = (
    "Is the {one} {where} the {other}?",
    "Does the {one} lie {where} the {other}?",
    "Is it true that the {one} is {where} the {other}?",
    "The {one} is {where} the {other}, right?",
    "The {one} is {where} the {other}: yes or no?",
    "Do you see the {one} {where} the {other}?",
)
LARGER = (
    "Which is {size}, the {one} or the {other}?",
    "Which one is {size}: the {one} or the {other}?",
    "What is {size}, the {one} or the {other}?",
    "Is the {one} or the {other} {size}?",
    "The {one} or the {other}: which is {size}?",
    "Tell me which is {size}, the {one} or the {other}.",
    "{size}: the {one} or the {other}?",
)
LARGEST = (
    "What is the {size} {thing}?",
    "Which {thing} is the {size}?",
    "What is the {size} {thing} in the picture?",
    "Name the {size} {thing}.",
    "Tell me which {thing} is the {size}.",
    "The {size} {thing}?",
)
PRESENT = (
    "Is there {a_name}?",
    "Is there {a_name} in the picture?",
    "Do you see {a_name}?",
    "Can you see {a_name}?",
    "Can you find {a_name} here?",
    "Does this image show {a_name}?",
    "Are there any {names}?",
    "Any {names}?",
    "Is {a_name} in this image?",
)
IS_COLOUR = (
    "Is the {kind} {colour}?",
    "Is the colour of the {kind} {colour}?",
    "Is the {kind} of {colour} colour?",
    "The {kind} is {colour}, right?",
    "Does the {kind} look {colour}?",
    "Would you call the {kind} {colour}?",
)
CONTENT = (
    "What is in the picture?",
    "Describe this image.",
    "Describe the picture.",
    "What do you see?",
    "What can you see in this image?",
    "What does the picture show?",
    "What things are there?",
    "List all things in the picture.",
    "Tell me what is in this image.",
    "Write a caption.",
    "What's this?",
    "Please describe this image.",
)


def colour(view: View, rng: random.Random) -> Question | None:
    """The colour of the only thing of a kind."""
    single = [thing for thing in view.things if view.counts[thing.kind] == 1]
    if not single:
        return None
    thing = rng.choice(single)
    return Question("scene/colour", phrased(COLOUR, rng, name=thing.kind), thing.colour)


def kind(view: View, rng: random.Random) -> Question | None:
    """The kind of the only thing of a colour, or beside a thing."""
    if view.neighbours and rng.random() < 0.5:
        thing, direction, other = rng.choice(view.neighbours)
        noun = rng.choice((*THINGS, "shape", "shape")) if thing.kind in SHAPES else rng.choice(THINGS)
        where, name = rng.choice(WHERE[direction]), view.some_name(other, rng)
        templates = [template for template in SIDE if "{noun}" in template]
        return Question("scene/kind", phrased(templates, rng, where=where, name=name, noun=noun), thing.kind)
    single = [thing for thing in view.things if view.counts[f"{thing.colour} thing"] == 1]
    if not single:
        return None
    thing = rng.choice(single)
    noun = rng.choice((*THINGS, "shape")) if thing.kind in SHAPES else rng.choice(THINGS)
    return Question("scene/kind", phrased(KIND, rng, colour=thing.colour, thing=noun), thing.kind)


COUNT_WEIGHTS = (1.0, 1.2, 2.5, 6.0, 10.0, 14.0, 18.0, 20.0, 20.0)
"""How much each count is preferred where it occurs: large ones occur seldom."""


def count(view: View, rng: random.Random) -> Question | None:
    """How many things a name fits; first the answer is chosen, then a name, so that no answer is common."""
    named = dict(view.counts) | {"thing": len(view.things)}
    possible = sorted({0, *named.values()})
    answer = rng.choices(possible, [COUNT_WEIGHTS[number] for number in possible])[0]
    names = [name for name, number in named.items() if number == answer] if answer else view.absent
    name = plural(rng.choice(names))
    if name.endswith("things"):
        name = name.removesuffix("things") + plural(rng.choice(THINGS))
    return Question("scene/count", phrased(COUNT, rng, names=name), str(answer))


def relation(view: View, rng: random.Random) -> Question | None:
    """Whether a thing lies in a direction from another, or what does."""
    if view.neighbours and rng.random() < 0.35:
        thing, direction, other = rng.choice(view.neighbours)
        if view.counts[full_name(thing)] == 1:
            where, name = rng.choice(WHERE[direction]), view.some_name(other, rng)
            templates = [template for template in SIDE if "{noun}" not in template]
            return Question(
                "scene/relation", phrased(templates, rng, where=where, name=name), f"the {full_name(thing)}"
            )
    if not view.relations:
        return None
    one, direction, other = rng.choice(view.relations)
    true = rng.random() < 0.5
    where = rng.choice(WHERE[direction if true else OPPOSITE[direction]])
    text = phrased(RELATION, rng, one=view.some_name(one, rng), other=view.some_name(other, rng), where=where)
    return Question("scene/relation", text, "yes" if true else "no")


def size(view: View, rng: random.Random) -> Question | None:
    """Which of two things is larger or smaller, or which of all is the largest or the smallest."""
    upwards = rng.random() < 0.5
    extreme = view.extreme(upwards)
    if extreme is not None and view.counts[full_name(extreme)] == 1 and rng.random() < 0.5:
        word = rng.choice(("largest", "biggest") if upwards else ("smallest", "tiniest"))
        text = phrased(LARGEST, rng, size=word, thing=rng.choice(THINGS))
        return Question("scene/size", text, f"the {full_name(extreme)}")
    if not view.comparisons:
        return None
    pair = rng.choice(view.comparisons)
    called = [view.some_name(thing, rng) for thing in pair]
    answer = called[0] if upwards else called[1]
    rng.shuffle(called)
    word = rng.choice(("larger", "bigger") if upwards else ("smaller", "smaller"))
    return Question("scene/size", phrased(LARGER, rng, size=word, one=called[0], other=called[1]), f"the {answer}")


def yes_or_no(view: View, rng: random.Random) -> Question | None:
    """Whether something is there, or whether the only thing of a kind has a colour."""
    true = rng.random() < 0.5
    single = [thing for thing in view.things if view.counts[thing.kind] == 1]
    if single and rng.random() < 0.3:
        thing = rng.choice(single)
        claimed = thing.colour if true else rng.choice([other for other in COLOURS if other != thing.colour])
        text = phrased(IS_COLOUR, rng, kind=thing.kind, colour=claimed)
    else:
        name = rng.choice(list(view.counts) if true else view.absent)
        text = phrased(PRESENT, rng, a_name=article(name), names=plural(name))
    return Question("scene/yes-no", text, "yes" if true else "no")


def caption(view: View, rng: random.Random) -> Question | None:
    """All things by kind and colour, in reading order."""
    phrases = [counted(name, len(things)) for name, things in view.groups()]
    return Question("caption/plain", phrased(CONTENT, rng), listed(phrases))


def absent(view: View, rng: random.Random) -> Question | None:
    """The colour of something that is not there."""
    kinds = [kind for kind in SCENE_KINDS if kind not in view.counts]
    return Question("absent/scene", phrased(COLOUR, rng, name=rng.choice(kinds)), UNKNOWN)
