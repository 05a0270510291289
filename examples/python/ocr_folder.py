"""Reads the text in all pictures of a folder into Markdown, with a progress bar.

    pip install tqdm
    python examples/python/ocr_folder.py [--model MODEL] [FOLDER] [OUT.md]

Without a hub id or a directory for MODEL, nano reads: the tiny model that is part of the package.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import tqdm

import seekvl

IMAGES = Path(__file__).parents[1] / "images"
ENDINGS = {".bmp", ".gif", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}


def main(arguments: list[str] | None = None) -> str:
    """What the example does."""
    parser = argparse.ArgumentParser(description="Read the text in all pictures of a folder.")
    parser.add_argument("--model", default=seekvl.NANO)
    parser.add_argument("--max-new-tokens", type=int, default=512)
    parser.add_argument("folder", nargs="?", type=Path, default=IMAGES)
    parser.add_argument("out", nargs="?", type=Path, default=Path("text.md"))
    options = parser.parse_args(arguments)

    model = seekvl.load(options.model)
    pictures = sorted(path for path in options.folder.iterdir() if path.suffix.lower() in ENDINGS)
    sections: list[str] = []
    for path in tqdm.tqdm(pictures, unit="picture"):
        try:
            answer = model.ocr(path, max_new_tokens=options.max_new_tokens)
        except seekvl.Error as error:
            # One bad picture does not end the job.
            sections.append(f"## {path.name}\n\n*{error}*\n")
            continue
        cut = " *(cut off)*" if answer.finish_reason == "length" else ""
        sections.append(f"## {path.name}\n\n{answer.text}{cut}\n")
    text = "\n".join(sections)
    options.out.write_text(text, encoding="utf-8")
    print(f"{len(pictures)} pictures: {options.out}")
    return text


if __name__ == "__main__":
    main()
