"""seekvl itself, by its own benchmark. All that is known of `seekvl bench` is here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from seekvl_peers import shapes
from seekvl_peers.files import Files
from seekvl_peers.plan import DECODED, JPEG, Kind, Work
from seekvl_peers.results import Memory, Turn

#: The options that tell the sizes of works.
_SIZES = {Kind.VISION: "--tiles", Kind.PREFILL: "--prompt-tokens", Kind.DECODE: "--context"}


class Seekvl:
    """One model in one form; each turn is a process of its own, which does everything once before it counts."""

    def __init__(self, program: Path, model: str, form: str, threads: int, files: Files) -> None:
        """Make the checkpoint, if it is not there."""
        self.command = [str(program), "bench", str(files.checkpoint(model)), "--json", "--threads", str(threads)]
        self.command += ["--picture", str(files.photograph(*JPEG))]
        self.command += ["--runs", "1", "--answer-tokens", str(DECODED)]
        if form != "bf16":
            self.command += ["--quantization", form]
        self.model = model

    def turn(self, works: tuple[Work, ...], limit: float) -> Turn:
        """Measure each work once.

        Raises:
            subprocess.SubprocessError: seekvl fails, or is not done within `limit` seconds.
        """
        kinds = {work.kind for work in works}
        command = [*self.command, "--only", ",".join(sorted(kind.value for kind in kinds))]
        for kind, option in _SIZES.items():
            if sizes := [str(work.size) for work in works if work.kind is kind]:
                command += [option, ",".join(sizes)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=limit)
        report = json.loads(done.stdout)
        cached = shapes.language(self.model).cache_bytes(max(_cached(report, work) for work in works))
        memory = Memory(report["load"]["weights_bytes"], report["peak_bytes"], cached)
        return Turn({work: _seconds(report, work) for work in works}, memory, report["machine"])

    def close(self) -> None:
        """Nothing stays between turns."""


def _cached(report: dict[str, Any], work: Work) -> int:
    """How many tokens a work leaves in the cache."""
    match work.kind:
        case Kind.PREFILL:
            return work.size
        case Kind.DECODE:
            return work.size + DECODED
        case Kind.END_TO_END:
            return int(report["end_to_end"]["prompt_tokens"] + report["end_to_end"]["answer_tokens"])
        case Kind.VISION | Kind.PREPROCESS:
            return 0


def _seconds(report: dict[str, Any], work: Work) -> float:
    """What a work took, or each token of it if it decodes."""
    match work.kind:
        case Kind.VISION:
            return float(_entry(report["vision"], "tiles", work.size)["seconds"])
        case Kind.PREFILL:
            return float(_entry(report["prefill"], "tokens", work.size)["seconds"])
        case Kind.DECODE:
            return 1 / float(_entry(report["decode"], "context", work.size)["tokens_per_second"])
        case Kind.END_TO_END:
            return float(report["end_to_end"]["seconds"])
        case Kind.PREPROCESS:
            return float(report["preprocess"]["seconds"])


def _entry(entries: list[dict[str, Any]], key: str, value: int) -> dict[str, Any]:
    return next(entry for entry in entries if entry[key] == value)
