from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from conftest import PICTURES

import seekvl
from seekvl.errors import ConversationError

ONE = PICTURES / "one.png"


def data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def image_part(path: Path) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": str(path)}}


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def answer(model: seekvl.Model, messages: seekvl.Messages) -> seekvl.Answer:
    return model.chat(messages, max_new_tokens=8)


def test_all_forms_of_a_question_are_the_same(tiny: seekvl.Model, picture: Path) -> None:
    expected = tiny.ask(picture, "Why?", max_new_tokens=8)
    contents: list[Any] = [
        [image_part(picture), text_part("Why?")],
        [{"type": "image_url", "image_url": data_uri(picture)}, "Why?"],
        [{"type": "image_url", "image_url": {"url": picture.as_uri()}}, text_part("Why?")],
        [{"type": "input_image", "image_url": data_uri(picture)}, {"type": "input_text", "text": "Why?"}],
        [{"type": "image", "image": picture.read_bytes()}, text_part("Why?")],
    ]
    for content in contents:
        assert answer(tiny, [{"role": "user", "content": content}]) == expected
    with_list: seekvl.Messages = [
        {"role": "<|User|>", "content": "<image>\nWhy?", "images": [str(picture)]},
        {"role": "<|Assistant|>", "content": ""},
    ]
    assert answer(tiny, with_list) == expected
    with_gap: seekvl.Messages = [
        {"role": "user", "content": [{"type": "image"}, text_part("Why?")], "images": [picture]}
    ]
    assert answer(tiny, with_gap) == expected


def test_images_keep_their_places(tiny: seekvl.Model, picture: Path) -> None:
    parts: list[Any] = [text_part("First:"), image_part(picture), text_part("then"), image_part(ONE)]
    in_parts = answer(tiny, [{"role": "user", "content": parts}])
    assert in_parts == tiny.generate("First:\n<image>\nthen\n<image>", [picture, ONE], max_new_tokens=8)
    assert in_parts.image_size == (1, 1)


def test_conversations_go_on(tiny: seekvl.Model) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [image_part(ONE), text_part("What is it?")]},
    ]
    first = answer(tiny, messages)
    messages += [first.to_message(), {"role": "user", "content": "Sure?"}]
    second = answer(tiny, messages)
    assert second.prompt_tokens > first.prompt_tokens + len(first.tokens)
    assert second.image_size == (1, 1)


def test_an_answer_that_is_begun_goes_on(tiny: seekvl.Model) -> None:
    """As the original, whose tokens these are (`prefill` of the reference)."""
    messages = [
        {"role": "user", "content": "List three numbers.\n"},
        {"role": "assistant", "content": "The numbers are 3,"},
    ]
    assert answer(tiny, messages).tokens == (346, 549, 119, 378, 156, 150, 112, 258)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([{"role": "poet", "content": "Hello"}], "message 0 has the role 'poet'"),
        ([{"content": "Hello"}], "message 0 has the role None"),
        ([{"role": "user", "content": "Hello"}, {"role": "system", "content": "No"}], "message 1 is a system message"),
        ([{"role": "system", "content": [image_part(ONE)]}], "system message cannot hold an image"),
        ([{"role": "user", "content": [{"type": "audio"}]}], "part 0 of message 0 is of type 'audio'"),
        ([{"role": "user", "content": [{"type": "text"}]}], "part 0 of message 0 has no text"),
        ([{"role": "user", "content": ["a", {"type": "image_url"}]}], "part 1 of message 0 has no image"),
        ([{"role": "user", "content": [7]}], "part 0 of message 0"),
        ([{"role": "user", "content": 7}], "the content of message 0"),
        ([{"role": "user", "content": ["a"], "images": [ONE]}], "message 0 has more images than image parts"),
        ([{"role": "user", "content": "<image>"}], "message 0 has 1 <image> placeholders for 0 images"),
        ([{"role": "assistant", "content": [image_part(ONE)]}], "message 0 is an answer"),
    ],
)
def test_messages_that_are_not_well_formed_are_named(tiny: seekvl.Model, messages: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(ConversationError, match=message):
        tiny.chat(messages)


def test_messages_are_a_list(tiny: seekvl.Model) -> None:
    for messages in ("Hello", {"role": "user", "content": "Hello"}):
        with pytest.raises(TypeError, match="a list of dictionaries"):
            tiny.chat(messages)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="message 0 is a str"):
        tiny.chat(["Hello"])  # type: ignore[list-item]
