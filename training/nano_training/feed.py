"""What training is fed with: batches that are drawn as it goes on, by processes of their own where there are some."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .batch import Batch, Encoded, collate, encode
from .mixture import Mixture, sample
from .modeling.config import NanoConfig
from .tokenizer import NanoTokenizer

POOL = 64
"""Samples that are sorted by length before they are cut into batches for a CPU."""


@dataclass(frozen=True)
class Cut:
    """What samples become batches, and how large these are."""

    tokenizer: Path
    mixture: Mixture
    batch_tokens: int
    batch_views: int
    most_tokens: int
    most_views: int
    questions: int
    banded: bool


class Samples(IterableDataset[Batch]):
    """Batches without end, each from seeds of its own; the same start gives the same batches."""

    def __init__(self, cut: Cut, config: NanoConfig, start: int, stride: int, threads: int) -> None:
        super().__init__()
        self.cut, self.config, self.start, self.stride, self.threads = cut, config, start, stride, threads

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        torch.set_num_threads(self.threads if worker is None else 1)
        tokenizer = NanoTokenizer(self.cut.tokenizer)
        samples = self._samples(self.start + number * self.stride, self.stride * workers, tokenizer)
        for batch in self._batches(samples) if self.cut.banded else self._sorted(samples):
            yield collate(batch, tokenizer, self.config, self.cut.banded)

    def _sorted(self, samples: Iterator[Encoded]) -> Iterator[list[Encoded]]:
        while True:
            batches = list(self._batches(sorted(islice(samples, POOL), key=lambda encoded: encoded.length)))
            yield from (batches[index] for index in torch.randperm(len(batches)).tolist())

    def _samples(self, start: int, stride: int, tokenizer: NanoTokenizer) -> Iterator[Encoded]:
        for seed in count(start, stride):
            made = sample(seed, "train", self.cut.mixture)
            made.questions = made.questions[: self.cut.questions]
            encoded = encode(made, tokenizer, self.config, self.cut.most_tokens)
            if encoded.views_count <= self.cut.most_views:
                yield encoded

    def _batches(self, samples: Iterable[Encoded]) -> Iterator[list[Encoded]]:
        batch: list[Encoded] = []
        views = tokens = 0
        for encoded in samples:
            views, tokens = views + encoded.views_count, tokens + encoded.length
            if batch and (tokens > self.cut.batch_tokens or views > self.cut.batch_views):
                yield batch
                batch, views, tokens = [], encoded.views_count, encoded.length
            batch.append(encoded)
        yield batch


class Feed:
    """The batches of a loader on a device.

    Where nothing new is at hand, a batch comes again that came before, each at most `uses` times: a GPU learns from
    pictures faster than processors draw them.
    """

    def __init__(self, loader: DataLoader[Batch], device: torch.device, uses: int, kept: int) -> None:
        self.loader, self.device, self.uses, self.kept = loader, device, uses, kept
        self.ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=4)
        self.old: list[tuple[Batch, int]] = []
        self.again = 0

    def __iter__(self) -> Iterator[Batch]:
        if self.uses == 1:
            for batch in self.loader:
                yield batch.to(self.device)
            return
        threading.Thread(target=self._fetch, daemon=True).start()
        while True:
            yield self._next()

    def _fetch(self) -> None:
        try:
            for batch in self.loader:
                self.ready.put(batch.to(self.device))
        except BaseException as error:  # raised again where the batches are used
            self.ready.put(error)

    def _next(self) -> Batch:
        if self.ready.empty() and self.old:
            place = random.randrange(len(self.old))
            batch, used = self.old[place]
            self.old[place] = self.old[-1]
            self.old.pop()
            self.again += 1
        else:
            found = self.ready.get()
            if isinstance(found, BaseException):
                raise found
            batch, used = found, 0
        if used + 1 < self.uses:
            self.old.append((batch, used + 1))
            if len(self.old) > self.kept:
                self.old.pop(random.randrange(len(self.old)))
        # What a step computes from a batch, masks above all, is not kept with it.
        return batch.each(lambda part: part)
