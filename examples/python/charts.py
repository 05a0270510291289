"""Reads charts: several questions about several pictures, answered together.

    python examples/python/charts.py [--model MODEL]

Without a hub id or a directory for MODEL, nano answers: the tiny model that is part of the package.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import seekvl

IMAGES = Path(__file__).parents[1] / "images"
QUESTIONS = [
    ("bars.png", "What is the value of Pears?"),
    ("bars.png", "Which category is the smallest?"),
    ("pie.png", "Which category is the largest?"),
    ("line.png", "What has the highest value?"),
]


def main(arguments: list[str] | None = None) -> list[seekvl.Answer]:
    """What the example does."""
    parser = argparse.ArgumentParser(description="Read charts.")
    parser.add_argument("--model", default=seekvl.NANO)
    options = parser.parse_args(arguments)

    model = seekvl.load(options.model)
    # A chart that several questions are about is looked at once. Each answer is what it would be alone.
    answers = model.batch([(IMAGES / name, question) for name, question in QUESTIONS], max_new_tokens=64, logprobs=0)
    for (name, question), answer in zip(QUESTIONS, answers, strict=True):
        logprobs = answer.logprobs or ()
        worst = min((token.logprob for token in logprobs), default=0.0)
        print(f"{name}: {question} {answer} (log-probability of the least certain token: {worst:.2f})")
    return answers


if __name__ == "__main__":
    main()
