"""Questions about two pictures."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .changes import Change
from .sample import Question, Thing, markup
from .scene_view import View, full_name
from .wording import article, phrased, plural

ORDINALS = ("first", "second")

MORE = (
    "Which picture has {size} {names}, the first or the second?",
    "Which image has {size} {names}, the first or the second?",
    "Which picture has {size} {names}?",
    "Which of the two images shows {size} {names}?",
    "Are there {size} {names} in the first or in the second picture?",
    "Tell me which picture has {size} {names}.",
    "{size} {names}: first or second?",
)
SHOWN = (
    "Which picture shows {a_name}, the first or the second?",
    "In which picture is there {a_name}?",
    "Which image has {a_name}?",
    "Where is there {a_name}, in the first or the second picture?",
    "Which of the two pictures has {a_name}?",
    "{a_name}: first or second picture?",
)
SAME = (
    "Are the two pictures the same?",
    "Are these pictures the same?",
    "Is the second picture the same as the first?",
    "Do both images show the same?",
    "Are both images equal?",
    "Same picture twice?",
)
DIFFERENT = (
    "What is different?",
    "What is different in the second picture?",
    "What has changed?",
    "What has changed between the two pictures?",
    "Name the difference.",
    "What is the difference between the images?",
    "Spot the difference.",
    "Tell me what has changed.",
)
ONE_COLOUR = (
    "What colour is the {kind} in the {which} picture?",
    "In the {which} image, what colour is the {kind}?",
    "Which colour does the {kind} have in the {which} picture?",
    "Tell me the colour of the {kind} in the {which} image.",
    "Colour of the {kind} in the {which} picture?",
    "{which} picture: what colour is the {kind}?",
)
ONE_COUNT = (
    "How many {names} are there in the {which} picture?",
    "In the {which} image, how many {names} do you see?",
    "Count the {names} in the {which} picture.",
    "How many {names} does the {which} image show?",
    "Number of {names} in the {which} picture?",
    "{which} picture: how many {names}?",
)
LOCATE = (
    "<|ref|>{label}<|/ref|> in the {which} image.",
    "Locate <|ref|>{label}<|/ref|> in the {which} image.",
    "Where is <|ref|>{label}<|/ref|> in the {which} picture?",
    "Find {label} in the {which} image.",
    "Where is {label} in the {which} picture?",
    "Point to {label} in the {which} picture.",
)
PAPER = (
    "<|grounding|>In the first image, an object within the red rectangle is marked. "
    "Locate the object of the same category in the second image."
)
"""In-context grounding as the paper on DeepSeek-VL2 asks for it."""

SAME_CATEGORY = (
    "<|grounding|>In the first image, the object inside the red rectangle is marked. "
    "Locate <|ref|>the same object<|/ref|> in the second image.",
    "<|grounding|>The first image has a red rectangle around an object. "
    "Find the same kind of object in the second image.",
    "<|grounding|>Locate the object of the same category as in the red rectangle in the second image.",
    "In the first image, an object within the red rectangle is marked. "
    "Locate the object of the same category in the second image.",
    "Find the thing that is marked in the first picture in the second one.",
    "Where in the second picture is the same kind of thing as in the red rectangle?",
)
MARKED = (
    "What is in the red rectangle?",
    "What is marked in the first picture?",
    "What does the red rectangle mark?",
    "Which thing is marked?",
    "Name the thing in the red rectangle.",
    "Tell me what is marked.",
)


def more(views: Sequence[View], rng: random.Random) -> Question | None:
    """Which picture has more or fewer of what a name fits: first the answer is chosen, then the name."""
    names = sorted({name for view in views for name in view.counts} | {"thing"})
    counts = {name: [view.counts[name] if name != "thing" else len(view.things) for view in views] for name in names}
    most = rng.randint(0, 1)
    fitting = [name for name, found in counts.items() if found[most] > found[1 - most]]
    if not fitting:
        return None
    fewer = rng.random() < 0.35
    text = phrased(MORE, rng, size="fewer" if fewer else "more", names=plural(rng.choice(fitting)))
    return Question("pair/compare", text, f"the {ORDINALS[1 - most if fewer else most]}")


def shown(views: Sequence[View], rng: random.Random) -> Question | None:
    """Which picture has something that the other has not."""
    which = rng.randint(0, 1)
    names = [name for name in views[which].counts if views[1 - which].counts[name] == 0]
    if not names:
        return None
    return Question("pair/compare", phrased(SHOWN, rng, a_name=article(rng.choice(names))), f"the {ORDINALS[which]}")


def one(views: Sequence[View], rng: random.Random) -> Question | None:
    """A colour or a count in one of the pictures."""
    which = rng.randint(0, 1)
    view = views[which]
    single = [thing for thing in view.things if view.counts[thing.kind] == 1]
    if single and rng.random() < 0.5:
        thing = rng.choice(single)
        text = phrased(ONE_COLOUR, rng, kind=thing.kind, which=ORDINALS[which])
        return Question("pair/one", text, thing.colour)
    name = rng.choice(sorted({name for other in views for name in other.counts}))
    text = phrased(ONE_COUNT, rng, names=plural(name), which=ORDINALS[which])
    return Question("pair/one", text, str(view.counts[name]))


def where(views: Sequence[View], rng: random.Random) -> Question | None:
    """The box of a thing in one of the pictures."""
    which = rng.randint(0, 1)
    view = views[which]
    if not view.nameable:
        return None
    thing = rng.choice(view.nameable)
    label = f"the {view.some_name(thing, rng)}"
    text = rng.choice(LOCATE).format(label=label, which=ORDINALS[which])
    return Question("pair/locate", text, markup(label, [thing.box], view.size))


def different(change: Change, rng: random.Random) -> list[Question]:
    """Whether two pictures are the same, and what is different."""
    same = change == Change()
    return [
        Question("pair/compare", phrased(SAME, rng), "yes" if same else "no"),
        Question("pair/change", phrased(DIFFERENT, rng), change.in_words()),
    ]


def marked(thing: Thing, rng: random.Random) -> Question:
    """What the rectangle in the first picture is around."""
    return Question("pair/marked", phrased(MARKED, rng), f"the {full_name(thing)}")


def same_category(thing: Thing, view: View, rng: random.Random) -> Question:
    """The box of the second picture's only thing of the kind that is marked in the first."""
    text = PAPER if rng.random() < 0.6 else rng.choice(SAME_CATEGORY)
    return Question("pair/locate", text, markup(f"the {thing.kind}", [thing.box], view.size))
