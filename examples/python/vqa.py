"""Asks a question about a picture, and goes on with the conversation.

    python examples/python/vqa.py [--model MODEL] [--image FILE] [QUESTION]

Without a hub id or a directory for MODEL, nano answers: the tiny model that is part of the package.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import seekvl

IMAGES = Path(__file__).parents[1] / "images"


def main(arguments: list[str] | None = None) -> list[seekvl.Answer]:
    """What the example does."""
    parser = argparse.ArgumentParser(description="Ask a question about a picture.")
    parser.add_argument("--model", default=seekvl.NANO)
    parser.add_argument("--image", default=str(IMAGES / "shapes.png"))
    parser.add_argument("question", nargs="?", default="What colour is the triangle?")
    options = parser.parse_args(arguments)

    model = seekvl.load(options.model)
    image = {"type": "image_url", "image_url": {"url": options.image}}
    question = {"type": "text", "text": options.question}
    messages: list[seekvl.Message] = [{"role": "user", "content": [image, question]}]

    # The text as it comes, in whole characters.
    stream = model.chat(messages, stream=True)
    for piece in stream:
        print(piece, end="", flush=True)
    first = stream.result()
    print(f"\n({first.prompt_tokens} tokens in, {len(first.tokens)} out, {first.finish_reason})")

    # The history holds what the model wrote, markup included.
    messages += [first.to_message(), {"role": "user", "content": "How many circles are there?"}]
    second = model.chat(messages)
    print(second)
    return [first, second]


if __name__ == "__main__":
    main()
