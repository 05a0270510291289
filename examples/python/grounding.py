"""Finds a thing in a picture, draws a box around it, and writes the boxes for other tools.

    python examples/python/grounding.py [--model MODEL] [--image FILE] [--out FOLDER] [DESCRIPTION]

Without a hub id or a directory for MODEL, nano looks: the tiny model that is part of the package.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import seekvl

IMAGES = Path(__file__).parents[1] / "images"


def main(arguments: list[str] | None = None) -> seekvl.Answer:
    """What the example does."""
    parser = argparse.ArgumentParser(description="Find a thing in a picture.")
    parser.add_argument("--model", default=seekvl.NANO)
    parser.add_argument("--image", type=Path, default=IMAGES / "objects.png")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("description", nargs="?", default="the red cup")
    options = parser.parse_args(arguments)

    model = seekvl.load(options.model)
    answer = model.ground(options.image, options.description)
    for box in answer.boxes:
        print(f"{box.label}: {box.pixels} (confidence {box.confidence:.2f})")
    if not answer.boxes:
        print(f"no box: {answer}")

    answer.draw().save(options.out / "grounding.png")
    coco = answer.to_coco(options.image.name)
    (options.out / "grounding.coco.json").write_text(json.dumps(coco, indent=2), encoding="utf-8")
    return answer


if __name__ == "__main__":
    main()
