"""Turns, failures, ratios and their table, with contestants that only say what they took."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from seekvl_peers import contest
from seekvl_peers.plan import GROUPS, Contestant, Group, Kind, Target, Work
from seekvl_peers.results import Memory, Outcome, Turn, lines
from seekvl_peers.table import table

OURS, PEER = Contestant("seekvl", "q8_0"), Contestant("llama.cpp", "q8_0")
WORK = Work(Kind.DECODE, 512)
GROUP = Group("g", "A group", "T", (WORK,), (PEER, OURS), (Target("q8_0", PEER, 2.0, (WORK,)),), memory=1.1)


class Scripted:
    """Takes the times that it is given, and keeps a diary."""

    def __init__(self, name: str, seconds: list[float], diary: list[str]) -> None:
        self.name, self.diary = name, diary
        self.seconds: Iterator[float] = iter(seconds)

    def turn(self, works: tuple[Work, ...], limit: float) -> Turn:
        self.diary.append(self.name)
        return Turn(dict.fromkeys(works, next(self.seconds)), Memory(100, 130, 25))

    def close(self) -> None:
        self.diary.append(f"{self.name} leaves")


def run(ours: list[float], theirs: list[float]) -> tuple[Outcome, list[str]]:
    diary: list[str] = []
    takers = {OURS: Scripted("ours", ours, diary), PEER: Scripted("theirs", theirs, diary)}
    return contest.run(GROUP, 3, 1.0, lambda contestant, _group: takers[contestant]), diary


def test_contestants_take_turns_and_leave() -> None:
    _, diary = run([1, 1, 1], [1, 1, 1])
    assert diary == ["theirs", "ours"] * 3 + ["theirs leaves", "ours leaves"]


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    outcome, _ = run([1, 2, 4], [3, 4, 8.4])
    (ratio,) = outcome.ratios()
    assert ratio.median == pytest.approx(2.1)
    assert (ratio.least, ratio.most, ratio.met) == (2.0, 3.0, True)


def test_who_fails_is_left_out_and_named() -> None:
    outcome, diary = run([1, 1, 1], [1])
    assert list(outcome.turns) == [OURS]
    assert len(outcome.turns[OURS]) == 3
    assert not list(outcome.ratios())
    assert "llama.cpp q8_0 failed: StopIteration" in table(outcome)
    assert diary[-2:] == ["theirs leaves", "ours leaves"]


def test_table_and_lines_say_the_same() -> None:
    outcome, _ = run([0.001, 0.001, 0.001], [0.0015, 0.0015, 0.0015])
    text = table(outcome)
    assert "| decode at 512 | q8_0 | 1.0 ms a token | llama.cpp q8_0 | 1.5 ms a token |" in text
    assert "1.50 (1.50 to 1.50) | 2 | not met |" in text
    assert "1.05 times the weights beside the cache, asked at most 1.1: met" in text
    ratio = json.loads(list(lines(outcome))[-1])
    assert ratio["ratio"] == pytest.approx(1.5)
    assert (ratio["asked"], ratio["met"]) == (2.0, False)


def test_each_group_measures_what_its_targets_are_for() -> None:
    assert len({group.name for group in GROUPS}) == len(GROUPS)
    for group in GROUPS:
        for target in group.targets:
            assert {target.peer, Contestant("seekvl", target.ours)} <= set(group.contestants)
            assert set(target.works) <= set(group.works)
