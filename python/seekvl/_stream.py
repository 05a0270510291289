"""Answers piece by piece."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple

from seekvl._core import Generation, Image
from seekvl._raw import RawDelta
from seekvl._results import Answer

if TYPE_CHECKING:
    from typing_extensions import Self


class Delta(NamedTuple):
    """A piece of what a model writes.

    Attributes:
        phase: `"thinking"` for what it thinks before it answers, `"answer"` for what it says.
        text: The text.
    """

    phase: Literal["thinking", "answer"]
    text: str

    @staticmethod
    def _from_raw(raw: RawDelta) -> Delta:
        thinking, text = raw
        return Delta("thinking" if thinking else "answer", text)


class Pending:
    """One answer that is being made."""

    def __init__(self, generation: Generation, image: Image | None) -> None:
        self.generation = generation
        self._image = image
        self._answer: Answer | None = None
        self._lock = threading.Lock()

    def result(self) -> Answer:
        """Waits for the answer."""
        with self._lock:
            if self._answer is None:
                [raw] = self.generation.result()
                self._answer = Answer._from_raw(raw, self._image)
            return self._answer


class Stream(Iterator[str]):
    """An iterator over the text of an answer, piece by piece, never splitting a character.

    Pieces are of the text as the model writes it, grounding markup included. What a model thinks before it answers is
    left out; `deltas` gives that too. An answer that goes round in circles is
    cut back in the end, so `result` may give less than was streamed. The work never runs far ahead of the iteration,
    and ends when the stream is closed or dropped.
    """

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    def __repr__(self) -> str:
        return "<Stream: iterate over its text, or take its result()>"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        for delta in self.deltas():
            if delta.phase == "answer":
                return delta.text
        raise StopIteration

    def deltas(self) -> Iterator[Delta]:
        """The pieces that are left, of what the model thinks and of what it says, with the word which."""
        return map(Delta._from_raw, self._pending.generation)

    def result(self) -> Answer:
        """The whole answer. Runs to its end first; pieces that were not taken are left out of the iteration."""
        return self._pending.result()

    def close(self) -> None:
        """Ends the answer before its next token. `result` then gives what there is of it."""
        self._pending.generation.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(AsyncIterator[str]):
    """As `Stream`, for `async for`."""

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    def __repr__(self) -> str:
        return "<AsyncStream: iterate over its text with async for, or await its result()>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        async for delta in self.deltas():
            if delta.phase == "answer":
                return delta.text
        raise StopAsyncIteration

    async def deltas(self) -> AsyncIterator[Delta]:
        """As `Stream.deltas`."""
        while True:
            try:
                raw = await asyncio.to_thread(self._pending.generation.next_or_none)
            except asyncio.CancelledError:
                self._pending.generation.cancel()
                raise
            if raw is None:
                return
            yield Delta._from_raw(raw)

    async def result(self) -> Answer:
        """The whole answer. Runs to its end first."""
        return await wait(self._pending)

    async def close(self) -> None:
        """Ends the answer before its next token. `result` then gives what there is of it."""
        self._pending.generation.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


async def wait(pending: Pending) -> Answer:
    """Waits on another thread. A task that is cancelled takes the work with it."""
    try:
        return await asyncio.to_thread(pending.result)
    except asyncio.CancelledError:
        pending.generation.cancel()
        raise
