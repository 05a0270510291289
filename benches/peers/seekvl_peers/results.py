"""What was measured, and the lines of JSON that keep it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from seekvl_peers.plan import Contestant, Group, Target, Work


@dataclass(frozen=True)
class Memory:
    """The bytes of a contestant's weights, the most that it had in memory, and what of it were keys and values."""

    weights: int
    peak: int
    cached: int = 0

    @property
    def ratio(self) -> float:
        """How many times its weights' size it had, caches apart; 0 of one without weights."""
        return (self.peak - self.cached) / self.weights if self.weights else 0.0


@dataclass(frozen=True)
class Turn:
    """One turn: seconds of each work (of each token, if it decodes), memory, and what the machine can do at most."""

    seconds: dict[Work, float]
    memory: Memory
    machine: dict[str, float] | None = None


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as a peer seekvl was: the median of the rounds, the least and the most."""

    target: Target
    work: Work
    median: float
    least: float
    most: float

    @property
    def met(self) -> bool:
        """Whether that is what was asked for."""
        return self.median >= self.target.ratio


@dataclass
class Outcome:
    """All rounds of a group; a contestant that failed has no turns."""

    group: Group
    turns: dict[Contestant, list[Turn]] = field(default_factory=dict)
    failures: dict[Contestant, str] = field(default_factory=dict)

    def median(self, contestant: Contestant, work: Work) -> float | None:
        """The median of the rounds, in seconds."""
        seconds = [turn.seconds[work] for turn in self.turns.get(contestant, [])]
        return statistics.median(seconds) if seconds else None

    def memory(self, contestant: Contestant) -> Memory | None:
        """The memory of the round that took most."""
        turns = self.turns.get(contestant, [])
        return max((turn.memory for turn in turns), key=lambda memory: memory.peak, default=None)

    def ratios(self) -> Iterator[Ratio]:
        """Each target's ratios, round by round, without contestants that failed."""
        for target in self.group.targets:
            ours = self.turns.get(Contestant("seekvl", target.ours), [])
            theirs = self.turns.get(target.peer, [])
            for work in target.works:
                rounds = [b.seconds[work] / a.seconds[work] for a, b in zip(ours, theirs, strict=False)]
                if rounds:
                    yield Ratio(target, work, statistics.median(rounds), min(rounds), max(rounds))


def lines(outcome: Outcome) -> Iterable[str]:
    """The outcome as lines of JSON."""
    group = {"group": outcome.group.name}
    for contestant, turns in outcome.turns.items():
        who = {**group, **_contestant(contestant)}
        for number, turn in enumerate(turns):
            for work, seconds in turn.seconds.items():
                yield json.dumps({**who, "round": number, **_work(work), "seconds": seconds})
            memory = {"weights_bytes": turn.memory.weights, "peak_bytes": turn.memory.peak}
            yield json.dumps({**who, "round": number, **memory, "cached_bytes": turn.memory.cached})
            if turn.machine is not None:
                yield json.dumps({**who, "round": number, "machine": turn.machine})
    for contestant, reason in outcome.failures.items():
        yield json.dumps({**group, **_contestant(contestant), "failed": reason})
    for ratio in outcome.ratios():
        beside = {"ours": ratio.target.ours, "peer": _contestant(ratio.target.peer), **_work(ratio.work)}
        spread = {"ratio": ratio.median, "least": ratio.least, "most": ratio.most}
        yield json.dumps({**group, **beside, **spread, "asked": ratio.target.ratio, "met": ratio.met})


def _contestant(contestant: Contestant) -> dict[str, Any]:
    return {"program": contestant.program, "form": contestant.form}


def _work(work: Work) -> dict[str, Any]:
    return {"work": work.kind.value, "size": work.size}
