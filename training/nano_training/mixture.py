"""Samples of all kinds, each determined by its split and number."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import NamedTuple, cast

from .sample import Sample, Split

Source = Callable[[random.Random, Split], Sample]
"""Makes a sample of one kind."""


class Entry(NamedTuple):
    """Where a source is and its share of the samples, relative to the others'."""

    module: str
    weight: float


SOURCES: dict[str, Entry] = {
    "scene": Entry("scenes", 5.0),
    "easy_scene": Entry("lessons", 0.0),
    "easy_count": Entry("lessons", 0.0),
    "easy_place": Entry("lessons", 0.0),
    "easy_word": Entry("lessons", 0.0),
    "easy_text": Entry("lessons", 0.0),
    "easy_line": Entry("lessons", 0.0),
    "drill": Entry("drill", 1.5),
    "easy_drill": Entry("drill", 0.0),
    "line": Entry("text", 3.0),
    "paragraph": Entry("text", 2.0),
    "sign": Entry("text", 1.5),
    "receipt": Entry("documents", 1.2),
    "table": Entry("documents", 1.0),
    "form": Entry("documents", 1.0),
    "screen": Entry("documents", 0.8),
    "chart": Entry("charts", 1.5),
    "pair": Entry("pairs", 1.5),
}
"""All kinds of samples. A source's name is that of its function."""


@cache
def source(name: str) -> Source:
    """The source of a name (a key of `SOURCES`)."""
    return cast(Source, getattr(import_module(f".{SOURCES[name].module}", __package__), name))


@dataclass(frozen=True)
class Mixture:
    """Which kinds of samples there are, and how many of each relative to the others."""

    weights: Mapping[str, float] = field(
        default_factory=lambda: {name: entry.weight for name, entry in SOURCES.items()}
    )

    @classmethod
    def only(cls, names: Iterable[str]) -> Mixture:
        """Some kinds, weighted among each other as they are by default."""
        return cls({name: known(name).weight for name in names})

    @classmethod
    def parse(cls, text: str) -> Mixture:
        """From "scene=2,line=1": these kinds and no others; without "=" by default weight; all kinds from ""."""
        if not text.strip():
            return cls()
        weights = {}
        for item in text.split(","):
            name, _, weight = item.strip().partition("=")
            weights[name] = float(weight) if weight else known(name).weight
            known(name)
        return cls(weights)

    def draw(self, rng: random.Random) -> str:
        """The name of a kind."""
        return rng.choices(list(self.weights), list(self.weights.values()))[0]


def known(name: str) -> Entry:
    """The entry of a name; `ValueError` if there is none."""
    if name not in SOURCES:
        raise ValueError(f"no kind of samples is called {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name]


def sample(seed: int, split: Split, mixture: Mixture) -> Sample:
    """Sample number `seed` of a split: the same in each process, and another one in each split."""
    rng = random.Random(f"{split}/{seed}")
    return source(mixture.draw(rng))(rng, split)
