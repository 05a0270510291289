"""What was measured, as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from seekvl_peers.plan import Contestant, Kind, Work
from seekvl_peers.results import Outcome, Ratio


def table(outcome: Outcome) -> str:
    """The ratios of a group, who failed, and everyone's memory."""
    return "\n".join(
        [
            f"### {outcome.group.title} (`{outcome.group.name}`)",
            "",
            "| work | seekvl | | beside | | ratio | asked | |",
            "| --- | --- | ---: | --- | ---: | ---: | ---: | --- |",
            *(_ratio(outcome, ratio) for ratio in outcome.ratios()),
            "",
            *_memory(outcome),
            *(f"- {contestant} failed: {reason}" for contestant, reason in outcome.failures.items()),
            "",
        ]
    )


def _ratio(outcome: Outcome, ratio: Ratio) -> str:
    target, work = ratio.target, ratio.work
    ours = _time(outcome.median(Contestant("seekvl", target.ours), work), work)
    theirs = _time(outcome.median(target.peer, work), work)
    spread = f"{ratio.median:.2f} ({ratio.least:.2f} to {ratio.most:.2f})"
    cells = (work, target.ours, ours, target.peer, theirs, spread, f"{target.ratio:g}", _met(ratio.met))
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _memory(outcome: Outcome) -> Iterator[str]:
    for contestant in outcome.turns:
        memory = outcome.memory(contestant)
        if memory is None:
            continue
        line = f"- {contestant}: peak memory {_gigabytes(memory.peak)}"
        if memory.weights:
            line += f", weights {_gigabytes(memory.weights)}"
        if memory.cached:
            line += f", cache {_gigabytes(memory.cached)}"
        asked = outcome.group.memory
        if asked is not None and contestant.program == "seekvl":
            line += f": {memory.ratio:.2f} times the weights beside the cache, asked at most {asked:g}: "
            line += _met(memory.ratio <= asked)
        yield line


def _time(seconds: float | None, work: Work) -> str:
    """Seconds, or of a token milliseconds."""
    if seconds is None:
        return ""
    if work.kind is Kind.DECODE:
        return f"{1000 * seconds:.1f} ms a token"
    return f"{seconds:.3f} s"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def _met(met: bool) -> str:
    return "met" if met else "not met"
