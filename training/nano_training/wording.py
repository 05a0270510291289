"""Words for things, and questions in many people's manners."""

from __future__ import annotations

import random
from collections.abc import Sequence

UNKNOWN = "I can't see that."
"""The answer where what is asked about is not in the picture."""

THINGS = ("thing", "object", "item")

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

PLURALS = {"cross": "crosses", "fish": "fish"}


def plural(noun: str) -> str:
    """More than one: of a kind, of "thing", or of either with a colour before it."""
    *before, last = noun.split(" ")
    return " ".join([*before, PLURALS.get(last, last + "s")])


def article(noun: str) -> str:
    """A noun with "a" or "an" before it."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def counted(noun: str, count: int) -> str:
    """ "a red star" or "two red stars"."""
    return article(noun) if count == 1 else f"{NUMBERS[count]} {plural(noun)}"


def listed(phrases: Sequence[str]) -> str:
    """ "a, b and c"."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def spelled(text: str, rng: random.Random) -> str:
    """British or American spelling of colours, anywhere in a question."""
    if rng.random() < 0.5:
        text = text.replace("colour", "color").replace("Colour", "Color")
    return text.replace("grey", "gray") if rng.random() < 0.5 else text


def lower_first(text: str) -> str:
    """A sentence as it goes on after other words."""
    return text[:1].lower() + text[1:]


def phrased(templates: Sequence[str], rng: random.Random, **slots: str) -> str:
    """One of `templates`, filled in, in somebody's manner: politely, carelessly, or as it is."""
    text = spelled(rng.choice(templates).format(**slots), rng)
    manner = rng.random()
    if manner < 0.08:
        text = f"Tell me, {lower_first(text)}" if text.endswith("?") else f"Please {lower_first(text)}"
    elif manner < 0.14:
        text = text.rstrip(".?") + (", please?" if text.endswith("?") else ", please.")
    if rng.random() < 0.12:
        text = lower_first(text)
    return text.rstrip("?.") if rng.random() < 0.15 else text
