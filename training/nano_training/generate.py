"""Writes samples to disk: `python -m nano_training.generate --split test --count 500 --out DIR`.

Each picture is `NNNNN-0.png` (the second of a pair `NNNNN-1.png`); `questions.jsonl` has one object a question, with
the keys `images` (names of files), `task`, `question` and `answer`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count, islice
from multiprocessing.pool import Pool
from pathlib import Path

from .mixture import SOURCES, Mixture, sample
from .sample import Question, Sample, Split
from .sheet import contact_sheet

MOST_OF_A_TASK = 2
"""Most questions of one task about one sample, where tasks are balanced."""


@contextmanager
def stream(split: Split, mixture: Mixture, first: int, workers: int) -> Iterator[Iterator[Sample]]:
    """Samples from number `first` on, in order, whatever the number of processes."""
    make = partial(sample, split=split, mixture=mixture)
    if workers < 2:
        yield map(make, count(first))
        return
    with Pool(workers) as pool:
        yield batches(pool, make, first, 16 * workers)


def batches(pool: Pool, make: partial[Sample], first: int, size: int) -> Iterator[Sample]:
    """Samples in order, a batch at a time, so that no more are made than are asked for."""
    for start in count(first, size):
        yield from pool.map(make, range(start, start + size), chunksize=4)


def balanced(samples: Iterator[Sample], per_task: int, least: int) -> Iterator[Sample]:
    """Samples with those of their questions that are wanted, until each task that occurs has `per_task` of them.

    At least the first `least` samples are looked at, so that rare tasks are known of.
    """
    taken: Counter[str] = Counter()
    for number, whole in enumerate(samples):
        here: Counter[str] = Counter()
        wanted: list[Question] = []
        for question in whole.questions:
            taken.setdefault(question.task, 0)
            if here[question.task] < MOST_OF_A_TASK and taken[question.task] < per_task:
                here[question.task] += 1
                taken[question.task] += 1
                wanted.append(question)
        if wanted:
            yield replace(whole, questions=wanted)
        if number + 1 >= least and min(taken.values()) >= per_task:
            return


def write(samples: Iterator[Sample], folder: Path) -> Counter[str]:
    """Writes samples to a folder, which is made if need be; returns how many questions of each task there are."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks: Counter[str] = Counter()
    with (folder / "questions.jsonl").open("w", encoding="utf-8") as lines:
        for number, made in enumerate(samples):
            names = [f"{number:05}-{i}.png" for i in range(len(made.pictures))]
            for name, picture in zip(names, made.pictures, strict=True):
                picture.image.save(folder / name)
            for question in made.questions:
                tasks[question.task] += 1
                line = {"images": names, "task": question.task, "question": question.text, "answer": question.answer}
                lines.write(json.dumps(line) + "\n")
    return tasks


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m nano_training.generate", description="Writes samples to disk.")
    parser.add_argument("--split", choices=("train", "test"), default="test")
    parser.add_argument("--count", type=int, default=500, help="samples; with --per-task, samples to look at at least")
    parser.add_argument("--per-task", type=int, default=0, help="balance: as many questions of each task")
    parser.add_argument("--out", type=Path, help="folder for pictures and questions.jsonl")
    parser.add_argument("--sheet", type=Path, help="write one picture of all samples with their questions instead")
    parser.add_argument("--boxes", action="store_true", help="draw the things' boxes on the sheet")
    parser.add_argument(
        "--only", default="", help=f"kinds of samples, as scene,chart or scene=2,chart=1: {', '.join(SOURCES)}"
    )
    parser.add_argument("--seed", type=int, default=0, help="number of the first sample")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    given = parser.parse_args()
    if (given.out is None) == (given.sheet is None):
        parser.error("give either --out or --sheet")
    return given


def main() -> None:
    """The command."""
    given = arguments()
    mixture = Mixture.parse(given.only)
    with stream(given.split, mixture, given.seed, given.workers) as samples:
        chosen = balanced(samples, given.per_task, given.count) if given.per_task else islice(samples, given.count)
        if given.sheet is not None:
            contact_sheet(list(chosen), given.boxes).save(given.sheet)
            return
        for task, number in sorted(write(chosen, given.out).items()):
            print(f"{number:6} {task}")


if __name__ == "__main__":
    main()
