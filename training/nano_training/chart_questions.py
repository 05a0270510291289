"""Questions about charts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from .chart_data import Data, some_names
from .chart_forms import Style
from .sample import Box, Picture, Question, markup
from .wording import UNKNOWN, phrased

VALUE = (
    "What is the value of {name}?",
    "What value does {name} have?",
    "How much is {name}?",
    "Read the value of {name}.",
    "Tell me the value of {name}.",
    "What number does the chart show for {name}?",
    "Value of {name}?",
    "{name}?",
)
WITH_VALUE = (
    "Which category has the value {value}?",
    "What has the value {value}?",
    "Which one is {value}?",
    "Name the category with the value {value}.",
    "Tell me what has the value {value}.",
    "Which {mark} shows {value}?",
)
STANDS_FOR = (
    "What does the {colour} {mark} stand for?",
    "What does the {colour} {mark} show?",
    "Which category is the {colour} {mark}?",
    "What is the name of the {colour} {mark}?",
    "Tell me what the {colour} {mark} stands for.",
    "Name of the {colour} {mark}?",
)
COLOUR_OF = (
    "What colour is the {mark} of {name}?",
    "Which colour stands for {name}?",
    "What is the colour of {name}?",
    "Colour of {name}?",
    "Tell me the colour of {name}.",
    "In which colour is {name} drawn?",
)
LARGEST = (
    "Which category is the largest?",
    "What has the highest value?",
    "Which {mark} is the largest?",
    "Which one is the biggest?",
    "What is the largest {mark}?",
    "Name the category with the highest value.",
    "Tell me which is the largest.",
    "Highest value?",
)
SMALLEST = (
    "Which category is the smallest?",
    "What has the lowest value?",
    "Which {mark} is the smallest?",
    "Which one is the least?",
    "What is the smallest {mark}?",
    "Name the category with the lowest value.",
    "Tell me which is the smallest.",
    "Lowest value?",
)
TITLE = (
    "What is the title of the chart?",
    "What is the chart's title?",
    "What is the title?",
    "What is this chart about?",
    "Read the title.",
    "Tell me the title of this chart.",
    "Title?",
)
COUNT = (
    "How many {marks} are there?",
    "How many {marks} does the chart have?",
    "Count the {marks}.",
    "How many {marks} do you see?",
    "Number of {marks}?",
    "Tell me how many {marks} there are.",
)
PROGRAM = "<|ref|>{label}<|/ref|>."
"""The question of the program's own command; it is asked word for word."""

LOCATE = (
    "Locate <|ref|>{label}<|/ref|>.",
    "Where is <|ref|>{label}<|/ref|>?",
    "Where is {label}?",
    "Find {label}.",
    "Point to {label}.",
    "Locate {label} in the chart.",
    "Show me {label}.",
)
MARKS = {"column": "bar", "bar": "bar", "line": "point", "lines": "line", "pie": "slice"}
"""What the marks of each form are called."""

LEAST_DIFFERENCE = 0.06
"""How far values have to be apart, as a share of the largest, to be told apart where they are not printed."""


@dataclass(frozen=True)
class Reading:
    """A chart as those who ask see it."""

    picture: Picture
    data: Data
    style: Style

    @property
    def mark(self) -> str:
        """What a mark is called."""
        return MARKS[self.data.form]

    @property
    def colourful(self) -> bool:
        """Whether each mark has a colour of its own."""
        return len(set(self.data.colours)) == len(self.data.colours) and self.data.form != "line"

    @property
    def readable(self) -> bool:
        """Whether the values can be read."""
        return self.style.values_at != "none"

    @cached_property
    def boxes(self) -> dict[str, Box]:
        """Where the mark of each name is; empty for a single line."""
        if self.data.form == "line":
            return {}
        return {name: thing.box for name, thing in zip(self.data.names, self.picture.things, strict=True)}

    def extreme(self, largest: bool) -> str | None:
        """The name of the largest or smallest mark, if there is no doubt."""
        if self.data.form == "lines":
            return None
        ranked = sorted(self.data.values, reverse=largest)
        apart = abs(ranked[0] - ranked[1])
        if apart == 0 or (not self.readable and apart < LEAST_DIFFERENCE * max(ranked)):
            return None
        return self.data.names[self.data.values.index(ranked[0])]


Asker = Callable[[Reading, random.Random], Question | None]
"""Asks one question about a chart, or none where there is nothing of its kind to ask."""


def value(chart: Reading, rng: random.Random) -> Question | None:
    """The value of a name, as it is printed."""
    if not chart.readable:
        return None
    i = rng.randrange(len(chart.data.names))
    return Question("chart/value", phrased(VALUE, rng, name=chart.data.names[i]), chart.data.labels[i])


def label(chart: Reading, rng: random.Random) -> Question | None:
    """The name that a value or a colour belongs to."""
    counts = Counter(chart.data.labels)
    single = [i for i, text in enumerate(chart.data.labels) if counts[text] == 1]
    if chart.colourful and (not (chart.readable and single) or rng.random() < 0.5):
        i = rng.randrange(len(chart.data.names))
        text = phrased(STANDS_FOR, rng, colour=chart.data.colours[i], mark=chart.mark)
    elif chart.readable and single:
        i = rng.choice(single)
        text = phrased(WITH_VALUE, rng, value=chart.data.labels[i], mark=chart.mark)
    else:
        return None
    return Question("chart/label", text, chart.data.names[i])


def colour(chart: Reading, rng: random.Random) -> Question | None:
    """The colour that stands for a name."""
    if not chart.colourful:
        return None
    i = rng.randrange(len(chart.data.names))
    text = phrased(COLOUR_OF, rng, name=chart.data.names[i], mark=chart.mark)
    return Question("chart/colour", text, chart.data.colours[i])


def largest(chart: Reading, rng: random.Random) -> Question | None:
    """The name with the highest value."""
    name = chart.extreme(True)
    return None if name is None else Question("chart/largest", phrased(LARGEST, rng, mark=chart.mark), name)


def smallest(chart: Reading, rng: random.Random) -> Question | None:
    """The name with the lowest value."""
    name = chart.extreme(False)
    return None if name is None else Question("chart/smallest", phrased(SMALLEST, rng, mark=chart.mark), name)


def title(chart: Reading, rng: random.Random) -> Question | None:
    """The title."""
    return Question("chart/title", phrased(TITLE, rng), chart.data.title)


def count(chart: Reading, rng: random.Random) -> Question | None:
    """How many marks there are."""
    text = phrased(COUNT, rng, marks=f"{chart.mark}s")
    return Question("chart/count", text, str(len(chart.data.names)))


def box(chart: Reading, rng: random.Random) -> Question | None:
    """The box of a mark by its name, its colour, or as the largest or smallest."""
    size = chart.picture.image.size
    if chart.data.form == "line":
        labels = {"the line": chart.picture.things[0].box}
    else:
        labels = {f"the {chart.mark} of {name}": found for name, found in chart.boxes.items()}
        if chart.colourful and rng.random() < 0.35:
            found_boxes = chart.boxes.values()
            labels = {
                f"the {paint} {chart.mark}": at for paint, at in zip(chart.data.colours, found_boxes, strict=True)
            }
        elif rng.random() < 0.15:
            extremes = {"largest": chart.extreme(True), "smallest": chart.extreme(False)}
            labels = {f"the {word} {chart.mark}": chart.boxes[name] for word, name in extremes.items() if name}
    if not labels:
        return None
    target = rng.choice(list(labels))
    text = PROGRAM.format(label=target) if rng.random() < 0.5 else rng.choice(LOCATE).format(label=target)
    return Question("ground/chart", text, markup(target, [labels[target]], size))


def absent(chart: Reading, rng: random.Random) -> Question | None:
    """The value of a name that the chart does not have."""
    others = [name for name in some_names(5, rng)[1] if name not in chart.data.names]
    if not others:
        return None
    return Question("absent/chart", phrased(VALUE[:-1], rng, name=rng.choice(others)), UNKNOWN)


ASKERS: dict[Asker, float] = {
    value: 2.2,
    label: 1.8,
    colour: 0.7,
    largest: 0.9,
    smallest: 0.9,
    title: 0.8,
    count: 0.6,
    box: 2.0,
    absent: 0.4,
}
"""Who asks how often."""


def asked(picture: Picture, data: Data, style: Style, rng: random.Random, times: int) -> list[Question]:
    """`times` five to eight questions, at most one of a task and an answer."""
    chart = Reading(picture, data, style)
    wanted = times * rng.randint(5, 8)
    found: dict[tuple[str, str], Question] = {}
    askers: Sequence[Asker] = rng.choices(list(ASKERS), list(ASKERS.values()), k=4 * wanted)
    for asker in askers:
        question = asker(chart, rng)
        if question is not None:
            found.setdefault((question.task, question.answer), question)
        if len(found) == wanted:
            break
    return list(found.values())
