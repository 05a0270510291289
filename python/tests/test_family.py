"""The models that read text alone, GGUF files, and what one answer leaves for the next."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import REFERENCE, golden

import seekvl
from seekvl.errors import CheckpointError, ConversationError, OptionError

NANO = REFERENCE.parent / "nano"
EXAMPLES = REFERENCE.parents[1] / "examples"


def test_nano_gives_the_tokens_that_rust_is_held_to() -> None:
    nano = seekvl.load(dtype="float32")
    reference: dict[str, Any] = json.loads((NANO / "golden.json").read_text(encoding="utf-8"))
    assert len(reference["requests"]) >= 3
    for name, request in reference["requests"].items():
        messages = [
            {**message, "images": [str(EXAMPLES / image) for image in message.get("images", [])]}
            for message in request["messages"]
        ]
        answer = nano.chat(
            messages,
            max_new_tokens=reference["new_tokens"],
            repetition_guard=False,
            markup_guard=False,
            image_config=seekvl.ImageConfig(as_stored=True),
        )
        assert [list(answer.tokens)] == request["greedy_ids"], name


@pytest.mark.parametrize("name", ["llm-like", "v2-like", "v3-like", "r1-distill-llama-like", "r1-distill-qwen-like"])
def test_text_is_gone_on_with(name: str) -> None:
    model, reference = seekvl.load(REFERENCE / name), golden(name)
    for request in reference["requests"].values():
        options: dict[str, Any] = {
            "max_new_tokens": reference["new_tokens"],
            "repetition_guard": False,
            "markup_guard": False,
        }
        if "text" in request:
            answer = model.complete(request["text"], **options)
            assert [list(answer.tokens)] == request["greedy_ids"]
            drafted = model.complete(request["text"], **options, draft=True)
            assert drafted == answer
            assert (drafted.drafts is not None) == (name == "v3-like")
            stream = model.complete(request["text"], **options, stream=True)
            assert "".join(stream) == stream.result().raw == answer.raw


def test_what_a_model_was_not_made_for_is_refused(picture: Path) -> None:
    model = seekvl.load(REFERENCE / "llm-like")
    with pytest.raises(ConversationError, match="text"):
        model.ask(picture, "What is this?")
    with pytest.raises(OptionError, match="fill in"):
        model.infill("def f(x):\n    return ", "\n")
    with pytest.raises(OptionError, match="fill in"):
        asyncio.run(model.aio.infill("a", "b"))
    answer = model.ask(None, "Hello", max_new_tokens=4)
    assert asyncio.run(model.aio.complete("Hello", max_new_tokens=4)) == model.complete("Hello", max_new_tokens=4)
    assert answer.thinking is None


def test_thoughts_are_kept_apart(tmp_path: Path) -> None:
    for file in (REFERENCE / "r1-distill-qwen-like").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    # As the published template does, this one begins the thoughts. The model of random weights never ends them.
    template = "{{ bos_token }}{% for message in messages %}{{ message.content }}{% endfor %}<think>\n"
    (tmp_path / "chat_template.jinja").write_text(template, encoding="utf-8")
    model = seekvl.load(tmp_path)
    messages = [{"role": "user", "content": "What is 12 + 345?"}]
    stream = model.chat(messages, max_new_tokens=24, thinking_budget=6, stream=True)
    deltas = list(stream.deltas())
    answer = stream.result()
    assert {delta.phase for delta in deltas} == {"thinking", "answer"}
    assert "".join(delta.text for delta in deltas if delta.phase == "thinking") == answer.thinking
    assert "".join(delta.text for delta in deltas if delta.phase == "answer") == answer.raw
    assert answer.thinking
    assert answer.to_dict()["thinking"] == answer.thinking
    assert "".join(model.chat(messages, max_new_tokens=24, thinking_budget=6, stream=True)) == answer.raw

    async def phases() -> list[seekvl.Delta]:
        stream = await model.aio.chat(messages, max_new_tokens=24, thinking_budget=6, stream=True)
        return [delta async for delta in stream.deltas()]

    assert asyncio.run(phases()) == deltas


def test_a_model_in_one_file(tmp_path: Path, tiny: seekvl.Model, picture: Path) -> None:
    path = tmp_path / "tiny.gguf"
    seen: list[tuple[str, int, int]] = []
    size = seekvl.quantize(tiny.name, "f32", path, progress=lambda *step: seen.append(step))
    assert path.stat().st_size == size
    assert seen
    assert seen[-1][1] == seen[-1][2] > 0
    model = seekvl.load(path)
    assert model.ask(picture, "Why?", max_new_tokens=8) == tiny.ask(picture, "Why?", max_new_tokens=8)
    with pytest.raises(OptionError, match="q4_k_m"):
        seekvl.quantize(tiny.name, "q3", path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cut short"):
        seekvl.load(path)


def test_an_answer_leaves_things_for_the_next(picture: Path) -> None:
    fresh = seekvl.load(REFERENCE / "vl2-tiny-like", recall=False)
    model = seekvl.load(REFERENCE / "vl2-tiny-like")
    messages: list[dict[str, Any]] = [{"role": "user", "content": "<image>\nWhat is this?", "images": [picture]}]
    for turn in range(3):
        answer = model.chat(messages, max_new_tokens=8)
        alone = fresh.chat(messages, max_new_tokens=8)
        assert answer == alone
        assert alone.cached_tokens == 0
        assert (answer.cached_tokens > sum(answer.image_tokens)) == (turn > 0)
        messages += [answer.to_message(), {"role": "user", "content": "And?"}]
    model.forget()
    assert model.chat(messages, max_new_tokens=8).cached_tokens == 0
    # A failure on the way loses nothing.
    with pytest.raises(ConversationError):
        model.generate("no place", picture)
    assert model.chat(messages, max_new_tokens=8).cached_tokens > 0
