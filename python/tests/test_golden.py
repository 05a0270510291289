"""Token for token what the original implementation computes, which the Rust tests hold the Rust API to as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import REFERENCE, golden

import seekvl

CHECKPOINTS = ["vl2-tiny-like", "vl2-small-like", "vl2-base-like"]
# The original reads files as they are stored, and has no guard against repetition.
AS_STORED = seekvl.ImageConfig(as_stored=True)


def messages(request: dict[str, Any]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for message in request["messages"]:
        images = [str(REFERENCE / image) for image in message.get("images", [])]
        made.append({**message, "images": images})
    return made


@pytest.fixture(scope="module", params=CHECKPOINTS)
def checkpoint(request: pytest.FixtureRequest) -> tuple[seekvl.Model, dict[str, Any], str]:
    return seekvl.load(REFERENCE / request.param), golden(request.param), request.param


def test_greedy_tokens_are_equal(checkpoint: tuple[seekvl.Model, dict[str, Any], str]) -> None:
    model, reference, _ = checkpoint
    compared = 0
    for name, request in reference["requests"].items():
        rows = request.get("rows") or [name]
        conversations = [messages(reference["requests"][row]) for row in rows]
        answers = model.batch(
            conversations,
            max_new_tokens=reference["new_tokens"],
            repetition_guard=False,
            markup_guard=False,
            image_config=AS_STORED,
        )
        assert [list(answer.tokens) for answer in answers] == request["greedy_ids"], name
        for answer, conversation in zip(answers, conversations, strict=True):
            alone = model.chat(
                conversation,
                max_new_tokens=reference["new_tokens"],
                repetition_guard=False,
                markup_guard=False,
                image_config=AS_STORED,
            )
            assert (alone.tokens, alone.raw, alone.boxes) == (answer.tokens, answer.raw, answer.boxes)
        compared += len(rows)
    assert compared >= 15


@pytest.mark.parametrize("name", ["vl1-like", "vl1-hybrid-like"])
def test_deepseek_vl_is_loaded_like_all_else(name: str) -> None:
    model, reference = seekvl.load(REFERENCE / name), golden(name)
    for request in reference["requests"].values():
        images = [str(REFERENCE / image) for image in request["images"]]
        question, answer = request["conversation"]
        assert answer == {"role": "Assistant", "content": ""}
        for conversation in ([{**question, "images": images}], [{**question, "images": images}, answer]):
            got = model.chat(
                conversation, max_new_tokens=24, repetition_guard=False, markup_guard=False, image_config=AS_STORED
            )
            assert [list(got.tokens)] == request["greedy_ids"]
            assert got.prompt_tokens == request["tokens"]
            assert list(got.image_tokens) == [reference["num_image_tokens"]] * len(images)
            assert not got.boxes
    rows = model.visual_tokens(REFERENCE / "images" / "page.png")
    assert rows.shape[0] == reference["num_image_tokens"]


def test_inner_values_are_close(checkpoint: tuple[seekvl.Model, dict[str, Any], str]) -> None:
    model, reference, name = checkpoint
    tensors = safetensors(REFERENCE / name / "golden.safetensors")

    request = reference["requests"]["one_image_tiny"]
    [image] = messages(request)[0]["images"]
    close(model.vision_features(image, image_config=AS_STORED), tensors["one_image_tiny.vision"])
    embeds = tensors["one_image_tiny.inputs_embeds"][0]
    visual = model.visual_tokens(image, image_config=AS_STORED)
    places = tensors["one_image_tiny.images_seq_mask"][0].astype(bool)
    close(visual, embeds[places])
    close(model.logits(messages(request), image_config=AS_STORED), tensors["one_image_tiny.last_logits"][0])

    text = messages(reference["requests"]["text"])
    every = model.logits(text, every_position=True)
    close(every, tensors["text.logits"][0])
    np.testing.assert_array_equal(every[-1], model.logits(text))


def test_logits_come_out_the_same_in_chunks(tiny: seekvl.Model, picture: Path) -> None:
    conversation = [{"role": "user", "content": "<image>\n" + "word " * 700, "images": [picture]}]
    every = tiny.logits(conversation, every_position=True)
    assert every.shape[0] > 512, "more than one chunk"
    np.testing.assert_array_equal(every[-1], tiny.logits(conversation))
    answer = tiny.chat(conversation, max_new_tokens=1, logprobs=1)
    assert answer.logprobs is not None
    assert answer.tokens[0] == every[-1].argmax() == answer.logprobs[0].top[0][0]


def close(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < 1e-4


def safetensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    types = {"F32": np.float32, "I64": np.int64, "U8": np.uint8, "BOOL": np.bool_}
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in header.items():
        if name != "__metadata__":
            start, end = (8 + length + offset for offset in tensor["data_offsets"])
            tensors[name] = np.frombuffer(content[start:end], types[tensor["dtype"]]).reshape(tensor["shape"])
    return tensors
