"""The log of a training: lines of means."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path

from torch import Tensor

from .losses import AnswerLoss

LONG = ("read/", "ground/")
"""Tasks whose answers are many tokens: of these the share of right ones is told, too."""


class Log:
    """Means over the steps since the last line, and the share of wholly right answers of each task.

    Steps are read when a line is written, since a GPU would be waited for at each.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.steps: list[tuple[dict[str, Tensor], AnswerLoss | None, list[str]]] = []

    def add(self, figures: dict[str, Tensor], answers: AnswerLoss | None, tasks: list[str]) -> None:
        """Takes in one step."""
        if self.path is not None:
            self.steps.append((figures, answers, tasks))

    def write(self, head: dict[str, float]) -> None:
        """Writes a line."""
        if self.path is None:
            return
        sums: dict[str, list[float]] = defaultdict(list)
        for figures, answers, tasks in self.steps:
            for name, value in figures.items():
                if not math.isnan(number := float(value)):
                    sums[name].append(number)
            if answers is not None:
                count_answers(sums, answers, tasks)
        self.steps.clear()
        means = {name: round(sum(values) / len(values), 4) for name, values in sorted(sums.items())}
        with self.path.open("a") as file:
            file.write(json.dumps({**{name: round(value, 2) for name, value in head.items()}, **means}) + "\n")


def count_answers(sums: dict[str, list[float]], answers: AnswerLoss, tasks: list[str]) -> None:
    """Adds which answers of a step are right, and which tokens of the long ones."""
    question, right = answers.question.cpu().numpy(), answers.right.cpu().numpy()
    wrong = set(question[~right].tolist())
    for number, task in enumerate(tasks):
        sums[task].append(float(number not in wrong))
    long = {number for number, task in enumerate(tasks) if task.startswith(LONG)}
    for number, token in zip(question.tolist(), right.tolist(), strict=True):
        if number in long:
            sums[f"{tasks[number]} tokens"].append(float(token))
