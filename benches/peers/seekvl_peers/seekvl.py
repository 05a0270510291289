"""seekvl itself, by its own benchmark. All that is known of `seekvl bench` is here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from seekvl_peers.files import Files
from seekvl_peers.plan import JPEG, PICTURE, PROMPT, Kind, Work
from seekvl_peers.results import Memory, Turn


class Seekvl:
    """One model in one form; each turn is a process of its own, which warms itself up."""

    def __init__(self, program: Path, model: str, form: str, threads: int, files: Files) -> None:
        """Make the checkpoint, if it is not there."""
        self.command = [str(program), "bench", str(files.checkpoint(model)), "--json", "--threads", str(threads)]
        self.command += ["--runs", "1"]
        if form != "bf16":
            self.command += ["--quantization", form]
        self.files = files

    def turn(self, works: tuple[Work, ...], limit: float) -> Turn:
        """Measure each work once.

        Raises:
            subprocess.SubprocessError: seekvl fails, or is not done within `limit` seconds.
        """
        kinds = {work.kind for work in works}
        command = [*self.command, "--only", ",".join(sorted(kind.value for kind in kinds))]
        if Kind.PREFILL in kinds:
            command += ["--prompt-tokens", str(PROMPT)]
        for kind, option in ((Kind.DECODE, "--context"), (Kind.VISION, "--tiles")):
            if sizes := [str(work.size) for work in works if work.kind is kind]:
                command += [option, ",".join(sizes)]
        for kind, size in ((Kind.END_TO_END, PICTURE), (Kind.PREPROCESS, JPEG)):
            if kind in kinds:
                command += ["--picture", str(self.files.photograph(*size))]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=limit)
        report = json.loads(done.stdout)
        memory = Memory(report["load"]["weights_bytes"], report["peak_bytes"])
        return Turn({work: _seconds(report, work) for work in works}, memory, report["machine"])

    def close(self) -> None:
        """Nothing stays between turns."""


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
