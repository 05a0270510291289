from __future__ import annotations

import asyncio
import inspect
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seekvl
from seekvl import _messages, _stream
from seekvl.errors import ConversationError


def test_pieces_make_the_answer(tiny: seekvl.Model, picture: Path) -> None:
    whole = tiny.ask(picture, "Describe.", max_new_tokens=24)
    stream = tiny.ask(picture, "Describe.", max_new_tokens=24, stream=True)
    pieces = list(stream)
    assert len(pieces) > 5
    assert "".join(pieces) == whole.raw
    assert stream.result() == whole
    assert stream.result() is stream.result()
    assert next(stream, None) is None


def test_every_call_streams(tiny: seekvl.Model, picture: Path) -> None:
    streams = [
        tiny.ocr(picture, max_new_tokens=3, stream=True),
        tiny.ground(picture, "it", max_new_tokens=3, stream=True),
        tiny.generate("<image>", picture, max_new_tokens=3, stream=True),
        tiny.chat([{"role": "user", "content": "Hello"}], max_new_tokens=3, stream=True),
    ]
    for stream in streams:
        assert "".join(stream) == stream.result().raw


def test_a_stream_that_is_closed_ends(tiny: seekvl.Model) -> None:
    with tiny.ask(None, "Hello", max_new_tokens=2000, repetition_guard=False, stream=True) as stream:
        first = next(stream)
    answer = stream.result()
    assert answer.finish_reason == "cancelled"
    assert answer.raw.startswith(first)
    assert len(answer.tokens) < 20


def test_a_stream_waits_for_whoever_reads_it(tiny: seekvl.Model) -> None:
    stream = tiny.ask(None, "Hello", max_new_tokens=2000, repetition_guard=False, stream=True)
    next(stream)
    time.sleep(0.5)
    stream.close()
    assert len(stream.result().tokens) < 20


def test_errors_come_out_of_a_stream(tiny: seekvl.Model, picture: Path) -> None:
    stream = tiny.generate("no place", picture, stream=True)
    with pytest.raises(ConversationError):
        next(stream)
    with pytest.raises(seekvl.Error, match="has failed"):
        stream.result()


def test_many_threads_share_a_model(tiny: seekvl.Model, picture: Path) -> None:
    questions = [f"What is {number}?" for number in range(4)]
    expected = {question: tiny.ask(picture, question, max_new_tokens=8) for question in questions}
    found: dict[str, seekvl.Answer] = {}

    def ask(question: str) -> None:
        found[question] = tiny.ask(picture, question, max_new_tokens=8)

    threads = [threading.Thread(target=ask, args=[question]) for question in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_others_run_while_a_model_works(tiny: seekvl.Model) -> None:
    done = threading.Event()
    turns = 0

    def work() -> None:
        tiny.ask(None, "Hello", max_new_tokens=400, repetition_guard=False, ignore_eos=True)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():
        turns += 1
        time.sleep(0.001)
    thread.join()
    # With the interpreter held there would be a turn before and one after.
    assert turns > 10


def test_async_calls_answer_as_others(tiny: seekvl.Model, picture: Path) -> None:
    async def answers() -> list[seekvl.Answer]:
        aio = tiny.aio
        return [
            *await asyncio.gather(
                aio.ask(picture, "Why?", max_new_tokens=8),
                aio.ocr(picture, max_new_tokens=8),
                aio.ground(picture, "it", max_new_tokens=8),
                aio.generate("Hello", max_new_tokens=8),
                aio.chat([{"role": "user", "content": "Hello"}], max_new_tokens=8),
            ),
            *await aio.batch([(picture, "Why?")], max_new_tokens=8),
        ]

    assert asyncio.run(answers()) == [
        tiny.ask(picture, "Why?", max_new_tokens=8),
        tiny.ocr(picture, max_new_tokens=8),
        tiny.ground(picture, "it", max_new_tokens=8),
        tiny.generate("Hello", max_new_tokens=8),
        tiny.chat([{"role": "user", "content": "Hello"}], max_new_tokens=8),
        tiny.ask(picture, "Why?", max_new_tokens=8),
    ]


def test_every_method_that_works_has_an_async_twin() -> None:
    # These take no time, and are reached through `AsyncModel.model`.
    quick = {"aio", "decode", "encode", "forget", "info", "name"}
    public = {name for name in dir(seekvl.Model) if not name.startswith("_")} - quick
    assert public == {name for name in dir(seekvl.AsyncModel) if not name.startswith("_")} - {"model"}
    for name in public:
        twins = [inspect.signature(getattr(model, name)) for model in (seekvl.Model, seekvl.AsyncModel)]
        assert len({tuple(twin.parameters) for twin in twins}) == 1, name
        assert len({str(list(twin.parameters.values())) for twin in twins}) == 1, name


def test_async_embeddings(tiny: seekvl.Model, picture: Path) -> None:
    messages = [{"role": "user", "content": "Hello"}]

    async def arrays() -> tuple[Any, ...]:
        aio = tiny.aio
        return await asyncio.gather(
            aio.vision_features(picture),
            aio.visual_tokens(picture),
            aio.logits(messages),
            aio.logits(messages, every_position=True),
        )

    expected = [
        tiny.vision_features(picture),
        tiny.visual_tokens(picture),
        tiny.logits(messages),
        tiny.logits(messages, every_position=True),
    ]
    for found, array in zip(asyncio.run(arrays()), expected, strict=True):
        np.testing.assert_array_equal(found, array)


def test_streams_say_what_they_are_for(tiny: seekvl.Model) -> None:
    assert "result()" in repr(tiny.ask(None, "Hello", max_new_tokens=1, stream=True))

    async def stream() -> seekvl.AsyncStream:
        return await tiny.aio.ask(None, "Hello", max_new_tokens=1, stream=True)

    assert "async for" in repr(asyncio.run(stream()))


def test_async_streams(tiny: seekvl.Model, picture: Path) -> None:
    async def pieces() -> tuple[list[str], seekvl.Answer, seekvl.Plan]:
        model = await seekvl.AsyncModel.from_pretrained(tiny.name)
        stream = await model.ask(picture, "Why?", max_new_tokens=8, stream=True)
        return [piece async for piece in stream], await stream.result(), await model.plan(picture, "Why?")

    found, answer, plan = asyncio.run(pieces())
    assert len(found) > 2
    assert "".join(found) == answer.raw == tiny.ask(picture, "Why?", max_new_tokens=8).raw
    assert plan == tiny.plan(picture, "Why?")


def test_a_task_that_is_cancelled_ends_its_work(tiny: seekvl.Model) -> None:
    config = seekvl.GenerationConfig(max_new_tokens=4000, repetition_guard=False, ignore_eos=True)
    dialogue = _messages.question("Hello", None, None, seekvl.ImageConfig())

    async def cancel() -> seekvl.Answer:
        pending = tiny._start(dialogue, config, seekvl.ImageConfig(), streamed=True)
        task = asyncio.create_task(_stream.wait(pending))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pending.result()

    answer = asyncio.run(cancel())
    assert answer.finish_reason == "cancelled"
    assert len(answer.tokens) < 4000
