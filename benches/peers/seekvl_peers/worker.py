"""The process of a peer: it loads what it is told to, then measures what each line of its input asks for.

A line in is `[kind, size]`; a line out is `{"seconds", "weights_bytes", "peak_bytes"}`. The first line out says that
the peer is ready, and has no seconds.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

from seekvl_peers.files import Files
from seekvl_peers.plan import Contestant, Kind, Work


class Measurable(Protocol):
    """A loaded peer."""

    weights_bytes: int

    def measure(self, work: Work) -> float:
        """Seconds for the work, or for each token if it decodes."""


def load(contestant: Contestant, model: str, threads: int, files: Files, kinds: Collection[Kind]) -> Measurable:
    """Load a peer; its libraries are imported here and nowhere else.

    Raises:
        ValueError: There is no such peer.
    """
    form = contestant.form
    match contestant.program:
        case "pytorch":
            from seekvl_peers.pytorch import PyTorch

            return PyTorch(model, threads, files, kinds)
        case "openvino":
            from seekvl_peers.graphs import OpenVino

            return OpenVino(model, form, threads, files)
        case "onnxruntime":
            from seekvl_peers.graphs import OnnxRuntime

            return OnnxRuntime(model, form, threads, files)
        case "llama.cpp":
            from seekvl_peers.llama import Llama

            return Llama(model, form, threads, files)
        case "pillow":
            from seekvl_peers.pixels import Pixels

            return Pixels(model, threads, files)
    raise ValueError(f"no peer is called {contestant.program}")


def peak_bytes() -> int:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def main(program: str, form: str, model: str, threads: str, folder: str, *kinds: str) -> None:
    """Serve until the input ends."""
    # Whatever the libraries print goes to the log.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    peer = load(Contestant(program, form), model, int(threads), Files(Path(folder)), [Kind(kind) for kind in kinds])

    def reply(**values: Any) -> None:
        line = {**values, "weights_bytes": peer.weights_bytes, "peak_bytes": peak_bytes()}
        print(json.dumps(line), file=replies, flush=True)

    reply()
    for line in sys.stdin:
        kind, size = json.loads(line)
        reply(seconds=peer.measure(Work(Kind(kind), size)))


if __name__ == "__main__":
    main(*sys.argv[1:])
