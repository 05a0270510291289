"""Measures seekvl beside its peers; prints tables, and keeps everything that was measured as lines of JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

from seekvl_peers import contest
from seekvl_peers.files import Files
from seekvl_peers.plan import GROUPS, Contestant, Group
from seekvl_peers.results import lines
from seekvl_peers.seekvl import Seekvl
from seekvl_peers.table import table

_REPOSITORY = Path(__file__).parents[3]
_PACKAGES = ("torch", "transformers", "openvino", "onnxruntime", "llama-cpp-python", "pillow")


def main() -> None:
    """Run the groups that the command line asks for."""
    options = _options()
    files = Files(options.files.resolve())
    files.folder.mkdir(parents=True, exist_ok=True)
    groups = [group for group in GROUPS if not options.only or group.name in options.only]

    def enter(contestant: Contestant, group: Group) -> contest.Taker:
        if contestant.program == "seekvl":
            return Seekvl(options.program, group.model, contestant.form, options.threads, files)
        return contest.Peer(contestant, group, options.threads, files, options.limit)

    with options.json.open("a", encoding="utf-8") as kept:
        machine = {"system": platform.platform(), "cores": len(os.sched_getaffinity(0)), "threads": options.threads}
        versions = {name: version(name) for name in _PACKAGES}
        print(json.dumps({**machine, "started": time.time(), "versions": versions}), file=kept)
        for number, group in enumerate(groups):
            outcome = contest.run(group, options.rounds, options.limit, enter)
            print(table(outcome), flush=True)
            kept.writelines(f"{line}\n" for line in lines(outcome))
            kept.flush()
            if options.discard and all(later.model != group.model for later in groups[number + 1 :]):
                files.discard(group.model)
    print(f"every measurement: {options.json}", file=sys.stderr)


def _options() -> argparse.Namespace:
    names = [group.name for group in GROUPS]
    parser = argparse.ArgumentParser(prog="run", description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", choices=names, metavar="GROUP", help=f"groups to measure, of {', '.join(names)} [all]")
    add("--rounds", type=_positive, default=3, metavar="N", help="how often each contestant has its turn [3]")
    add(
        "--threads",
        type=_positive,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="of each contestant [cores]",
    )
    add("--limit", type=float, default=900.0, metavar="SECONDS", help="when a contestant is given up [900]")
    made = _REPOSITORY / "target" / "peers"
    add("--files", type=Path, default=made, metavar="DIR", help="where weights and pictures are made [target/peers]")
    add("--discard", action="store_true", help="delete a model's files when its last group is done")
    results = made / "results.jsonl"
    add("--json", type=Path, default=results, metavar="FILE", help="gets the lines [target/peers/results.jsonl]")
    program = _REPOSITORY / "target" / "release" / "seekvl"
    add("--program", type=Path, default=program, metavar="FILE", help="seekvl itself [target/release/seekvl]")
    options = parser.parse_args()
    options.json.parent.mkdir(parents=True, exist_ok=True)
    return options


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


if __name__ == "__main__":
    main()
