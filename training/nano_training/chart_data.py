"""What charts are about: titles, names and numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .colours import Rgb, distance, shade_of
from .sample import COLOURS

Form = Literal["column", "bar", "line", "lines", "pie"]
"""Bars upright or lying, one line over categories, several lines with names, or slices."""


class Topic(NamedTuple):
    """Names that occur together, and titles for them; `ordered` names are taken in a row."""

    titles: tuple[str, ...]
    names: tuple[str, ...]
    ordered: bool = False


def topic(titles: str, names: str, ordered: bool = False) -> Topic:
    """A topic from lists with semicolons and spaces between their items."""
    return Topic(tuple(titles.split("; ")), tuple(names.split()), ordered)


TOPICS = (
    topic(
        "Sales; Shop sales; Items sold; Groceries; Prices", "Milk Bread Eggs Rice Tea Salt Fish Oil Soap Corn Beans Jam"
    ),
    topic(
        "Fruit; Favourite fruit; Fruit sold; Harvest", "Apple Pear Plum Fig Lemon Mango Grape Kiwi Peach Lime Cherry"
    ),
    topic("Rain; Visitors; Sales by month; Hours of sun", "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", True),
    topic("Steps; Calls; Guests; Week plan; Meals a day", "Mon Tue Wed Thu Fri Sat Sun", True),
    topic("Pets; Animals; Favourite pets; Farm animals", "Cat Dog Cow Hen Fish Pig Duck Goat Horse Sheep Bird"),
    topic("Team points; Goals; Scores; Quiz results; Votes", "Anna Ben Cleo Dan Eva Finn Gus Hana Ivo Jana Kim Leo"),
    topic("Cities; Trips; Offices; Tickets; Flights", "Rome Oslo Paris Lima Cairo Bern Delhi Kyoto Quito Perth"),
    topic("Energy; Power; Sources of power; Output", "Wind Solar Coal Gas Hydro Waste Other"),
    topic("Travel; Ways to work; Traffic; Commute", "Car Bus Bike Train Walk Tram Ferry Plane"),
    topic("Time spent; My day; Budget; Spending", "Rent Food Work Sleep Play Read Save Sport Fun Bills"),
    topic("Test results; Groups; Answers; Samples", "A B C D E F G H", True),
    topic("Profit; Growth; Members; Output by year", "2017 2018 2019 2020 2021 2022 2023 2024 2025", True),
    topic("Revenue; Quarters; Orders; Returns", "Q1 Q2 Q3 Q4", True),
    topic("Schools; Subjects; Favourite lessons; Marks", "Art Music Maths Sport Latin Drama Physics Biology"),
)

ONSETS = (
    "b",
    "br",
    "c",
    "d",
    "f",
    "g",
    "gr",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
)
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "oo")
CODAS = ("", "", "l", "m", "n", "nd", "r", "rk", "s", "st", "t", "x")


def invented(rng: random.Random) -> str:
    """A name that nobody has heard, so that it has to be read."""
    syllables = (rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(rng.randint(1, 2)))
    return ("".join(syllables) + rng.choice(CODAS)).capitalize()


@dataclass(frozen=True)
class Data:
    """A chart's contents: `labels` are the values as they are printed, `colours` the names of the marks' colours.

    A single `line` has one colour for all its points; the values of `lines` are not drawn.
    """

    form: Form
    title: str
    names: list[str]
    values: list[int]
    labels: list[str]
    colours: list[str]
    paints: list[Rgb]


def some_names(count: int, rng: random.Random) -> tuple[str, list[str]]:
    """A title and different names that fit it."""
    subject = rng.choice([one for one in TOPICS if len(one.names) >= count])
    title = rng.choice(subject.titles)
    if rng.random() < 0.25:
        title = f"{title} {rng.choice((str(rng.randint(1990, 2029)), f'in {invented(rng)}', f'of {invented(rng)}'))}"
    if not subject.ordered and rng.random() < 0.3:
        made_up: dict[str, None] = {}
        while len(made_up) < count:
            made_up[invented(rng)] = None
        return title, list(made_up)
    if not subject.ordered:
        return title, rng.sample(subject.names, count)
    first = rng.randint(0, len(subject.names) - count)
    return title, list(subject.names[first : first + count])


def some_values(count: int, step: int, rng: random.Random) -> list[int]:
    """Values that are multiples of `step`, far enough apart to be told apart."""
    most = rng.randint(max(4, count), 10)
    if step > 1:
        return [step * rng.randint(1, most) for _ in range(count)]
    scale = rng.choice((10, 20, 50, 100, 100, 200, 500))
    return [max(1, round(scale * rng.uniform(0.08, 1))) for _ in range(count)]


def shares(count: int, rng: random.Random) -> list[int]:
    """Percentages that add up to 100, none below 6."""
    while True:
        cuts = sorted(rng.sample(range(1, 100), count - 1))
        parts = [end - start for start, end in zip([0, *cuts], [*cuts, 100], strict=True)]
        if min(parts) >= 6:
            return parts


def paints_for(count: int, background: Rgb, one: bool, rng: random.Random) -> tuple[list[str], list[Rgb]]:
    """Names of colours and colours that are seen on a background: all different, or all the same."""
    names: list[str] = []
    paints: list[Rgb] = []
    for name in rng.sample(COLOURS, len(COLOURS)):
        paint = shade_of(name, rng)
        if distance(paint, background) > 150:
            names.append(name)
            paints.append(paint)
    if one:
        return names[:1] * count, paints[:1] * count
    return names[:count], paints[:count]
