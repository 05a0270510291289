"""Answers a question about many pictures with Ray Data, on this machine or on a cluster.

    pip install 'seekvl[ray]'
    python examples/python/ray_batch.py [--model MODEL] [--images FOLDER] [--out FOLDER] [QUESTION]

What was answered already is not answered again: run it twice. On a cluster, `ray job submit` it, with folders that all
nodes see (or s3:// addresses), and with `--workers` and `--cpus` to fit the nodes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ray
import ray.data

import seekvl
from seekvl.batch import Predictor, read_keys

IMAGES = Path(__file__).parents[1] / "images"


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    """What the example does."""
    parser = argparse.ArgumentParser(description="Answer a question about many pictures.")
    parser.add_argument("--model", default=seekvl.NANO)
    parser.add_argument("--images", type=Path, default=IMAGES)
    parser.add_argument("--out", type=Path, default=Path("answers"))
    parser.add_argument("--max-new-tokens", type=int, default=512)
    parser.add_argument("--workers", type=int, default=1, help="processes, each with a model of its own")
    parser.add_argument("--cpus", type=float, default=1, help="processors of each")
    parser.add_argument("question", nargs="?", default="Describe this picture.")
    options = parser.parse_args(arguments)

    paths = sorted(str(path) for path in options.images.glob("*.png"))
    pictures = ray.data.from_items([{"image": path, "path": path} for path in paths])
    # Rows whose key an earlier run has written are left out of what comes out.
    answers = pictures.map_batches(
        Predictor,
        fn_constructor_kwargs={
            "model": options.model,
            "prompt": options.question,
            "config": seekvl.GenerationConfig(max_new_tokens=options.max_new_tokens),
            "done": read_keys(options.out),
        },
        compute=ray.data.ActorPoolStrategy(size=options.workers),
        num_cpus=options.cpus,
        batch_size=8,
    )
    answers.write_json(str(options.out))
    written = [row for row in ray.data.read_json(str(options.out)).take_all() if not row["error"]]
    print(f"{len(written)} answers in {options.out}")
    return written


if __name__ == "__main__":
    main()
