"""What Python costs: a call through it, the import, and the wheel.

    python benches/overhead.py [--model MODEL] [--image FILE] [--repeats N] [--wheel FILE]

A call's overhead is its time less the time that the Rust side takes from the picture's file to the finished answer.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import seekvl

IMAGES = Path(__file__).parents[2] / "examples" / "images"


def main() -> None:
    """Measure, and print a line for each quantity."""
    parser = argparse.ArgumentParser(description="Measure what Python costs.")
    parser.add_argument("--model", default=seekvl.NANO)
    parser.add_argument("--image", type=Path, default=IMAGES / "receipt.png")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--wheel", type=Path)
    options = parser.parse_args()

    model = seekvl.load(options.model, recall=False)
    config = seekvl.GenerationConfig(max_new_tokens=options.tokens, repetition_guard=False, ignore_eos=True)
    calls: list[tuple[float, float]] = []
    for _ in range(options.repeats + 1):
        started = time.perf_counter()
        answer = model.ask(options.image, "What is the total?", config=config)
        calls.append((time.perf_counter() - started, answer.timings.total))
    # The first call warms caches up.
    overheads = sorted(whole - rust for whole, rust in calls[1:])
    typical = statistics.median(whole for whole, _ in calls[1:])
    median = statistics.median(overheads)
    print(f"model: {options.model}, {options.repeats} calls of {options.tokens} tokens")
    print(f"a call: median {1000 * typical:.2f} ms")
    print(f"overhead: median {1000 * median:.3f} ms ({100 * median / typical:.3f} %), ", end="")
    print(f"least {1000 * overheads[0]:.3f} ms, most {1000 * overheads[-1]:.3f} ms")

    imports = [seconds("import seekvl") - seconds("pass") for _ in range(options.repeats)]
    print(f"import seekvl: median {1000 * statistics.median(imports):.1f} ms, least {1000 * min(imports):.1f} ms")
    if options.wheel is not None:
        print(f"wheel: {options.wheel.stat().st_size / 1e6:.1f} MB")


def seconds(program: str) -> float:
    """How long a new interpreter takes for a program."""
    started = time.perf_counter()
    # Elsewhere than in the sources, which would be imported in place of the package.
    subprocess.run([sys.executable, "-c", program], check=True, cwd=sys.prefix)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
