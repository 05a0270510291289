"""Runs the contestants of a group in turns."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from seekvl_peers.files import Files
from seekvl_peers.plan import Contestant, Group, Work
from seekvl_peers.results import Memory, Outcome, Turn

#: What a contestant's failure is, that lets the others go on.
_FAILURES = (OSError, subprocess.SubprocessError, RuntimeError, ValueError, KeyError, StopIteration)


class Taker(Protocol):
    """Whoever takes turns."""

    def turn(self, works: tuple[Work, ...], limit: float) -> Turn:
        """Measure each work once, within `limit` seconds."""

    def close(self) -> None:
        """Leave nothing running."""


class Peer:
    """A peer in its process, which warms up once, then stays loaded and idle between its turns."""

    def __init__(self, contestant: Contestant, group: Group, threads: int, files: Files, limit: float) -> None:
        """Start the process, and wait until it has loaded and done everything once.

        Raises:
            RuntimeError: The peer died or took more than `limit` seconds for one of these.
        """
        name = f"{contestant.program}-{contestant.form}"
        self.log = files.folder / f"{group.name}-{name}.log"
        kinds = {work.kind.value for work in group.works}
        order = [contestant.program, contestant.form, group.model, str(threads), str(files.folder), *kinds]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "seekvl_peers.worker", *order],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"},
            )
        try:
            self._reply(limit)
            self.turn(group.works, limit)
        except BaseException:
            self.close()
            raise

    def turn(self, works: tuple[Work, ...], limit: float) -> Turn:
        """Measure each work once.

        Raises:
            RuntimeError: The peer died or was not done within `limit` seconds.
        """
        seconds = {}
        for work in works:
            assert self.process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps([work.kind.value, work.size]), file=self.process.stdin, flush=True)
            reply = self._reply(limit)
            seconds[work] = float(reply["seconds"])
        return Turn(seconds, Memory(reply["weights_bytes"], reply["peak_bytes"]))

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def _reply(self, limit: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        timer = threading.Timer(limit, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise RuntimeError(f"ended with {self.process.wait()}; its last words: {_last_words(self.log)}")
        reply: dict[str, Any] = json.loads(line)
        return reply


def run(group: Group, rounds: int, limit: float, enter: Callable[[Contestant, Group], Taker]) -> Outcome:
    """Let the contestants of a group take turns.

    Args:
        group: Who does what.
        rounds: How many turns each has.
        limit: Seconds that anything may take.
        enter: Loads a contestant.
    """
    outcome = Outcome(group)
    takers: dict[Contestant, Taker] = {}

    @contextlib.contextmanager
    def surviving(contestant: Contestant) -> Iterator[None]:
        try:
            yield
        except _FAILURES as failure:
            outcome.failures[contestant] = f"{type(failure).__name__}: {failure}"
            outcome.turns.pop(contestant, None)
            _say(f"{group.name}: {contestant}: {outcome.failures[contestant]}")

    try:
        for contestant in group.contestants:
            with surviving(contestant):
                takers[contestant] = enter(contestant, group)
                outcome.turns[contestant] = []
        for _ in range(rounds):
            for contestant, turns in list(outcome.turns.items()):
                with surviving(contestant), _busy() if group.busy else contextlib.nullcontext():
                    turns.append(takers[contestant].turn(group.works, limit))
                    _say(f"{group.name}: {contestant}: {_times(turns[-1])}")
    finally:
        for taker in takers.values():
            taker.close()
    return outcome


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    """Another process that wants a core all the time."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _last_words(log: Path) -> str:
    return " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:])


def _times(turn: Turn) -> str:
    return ", ".join(f"{work}: {seconds:.4g} s" for work, seconds in turn.seconds.items())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
