from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from conftest import PICTURES, REFERENCE

import seekvl
from seekvl.errors import (
    CheckpointError,
    ConversationError,
    ImageError,
    ModelNotFoundError,
    OptionError,
    PromptTooLongError,
)


def test_nano_needs_no_file(nano: seekvl.Model, picture: Path) -> None:
    nano.forget()
    answer = nano.ask(picture, "What is this?", max_new_tokens=12)
    assert 0 < len(answer.tokens) <= 12
    assert answer.image is not None
    assert answer.image_size == answer.image.size
    assert answer.prompt_tokens > sum(answer.image_tokens) > 0
    assert answer.timings.total >= answer.timings.vision > 0
    nano.forget()  # else latent attention reads the prompt's end alone, with other roundings
    assert answer.tokens == nano.ask(picture, "What is this?", max_new_tokens=12).tokens


def test_calls_ask_what_they_say(tiny: seekvl.Model, picture: Path) -> None:
    def ask(question: str) -> str:
        return tiny.ask(picture, question, max_new_tokens=8).raw

    assert tiny.ocr(picture, max_new_tokens=8).raw == ask("Extract all the text in the image.")
    assert tiny.ground(picture, " the dog ", max_new_tokens=8).raw == ask("<|ref|>the dog<|/ref|>.")
    assert tiny.generate("<image>\nWhy?", [picture], max_new_tokens=8).raw == ask("Why?")
    assert tiny.generate("Why? <image>", picture, max_new_tokens=8).raw == ask("Why? <image>")
    assert tiny.ask(None, "Hello", max_new_tokens=4).image_tokens == ()
    told = tiny.ask(picture, "Why?", system="Be brief.", max_new_tokens=4)
    assert told.prompt_tokens > tiny.ask(picture, "Why?", max_new_tokens=4).prompt_tokens


def test_several_images(tiny: seekvl.Model) -> None:
    answer = tiny.ask([PICTURES / "page.png", PICTURES / "one.png"], "Which?", max_new_tokens=4)
    assert len(answer.image_tokens) == 2
    assert answer.image_size == (1, 1)


def test_options_reach_the_sampler(tiny: seekvl.Model) -> None:
    def tokens(**options: Any) -> tuple[int, ...]:  # noqa: ANN401
        return tiny.ask(None, "Hello", max_new_tokens=12, stream=False, **options).tokens

    greedy = tokens()
    assert tokens(temperature=0.0) == greedy == tokens(temperature=1.0, top_k=1)
    drawn = [tokens(temperature=2.0, seed=seed) for seed in range(3)]
    assert drawn == [tokens(temperature=2.0, seed=seed) for seed in range(3)]
    assert len({greedy, *drawn}) == 4
    assert tokens(config=seekvl.GenerationConfig(temperature=2.0, seed=1)) == drawn[1]
    assert tokens(config=seekvl.GenerationConfig(temperature=2.0, seed=1), seed=2) == drawn[2]


def test_stop_strings_end_an_answer(tiny: seekvl.Model) -> None:
    whole = tiny.ask(None, "Hello", max_new_tokens=12).raw
    stopped = tiny.ask(None, "Hello", max_new_tokens=12, stop=whole[5:7])
    assert stopped.finish_reason == "stop_string"
    assert stopped.raw == whole[: whole.index(whole[5:7])]


def test_logprobs(tiny: seekvl.Model) -> None:
    answer = tiny.ask(None, "Hello", max_new_tokens=5, logprobs=3)
    assert answer.logprobs is not None
    assert len(answer.logprobs) == len(answer.tokens)
    for token, logprobs in zip(answer.tokens, answer.logprobs, strict=True):
        assert logprobs.logprob <= 0
        assert len(logprobs.top) == 3
        assert logprobs.top[0] == (token, logprobs.logprob), "greedy"
    assert tiny.ask(None, "Hello", max_new_tokens=2).logprobs is None


def test_tiling_follows_the_image_config(tiny: seekvl.Model, picture: Path) -> None:
    def tokens(config: seekvl.ImageConfig) -> int:
        return tiny.ask(picture, "?", max_new_tokens=1, image_config=config).image_tokens[0]

    assert tokens(seekvl.ImageConfig()) == 49
    assert tokens(seekvl.ImageConfig(crop=False)) == 13
    assert tokens(seekvl.ImageConfig(max_tiles=1)) == 13
    assert tokens(seekvl.ImageConfig(candidate_resolutions=[(96, 48)])) == 17
    with pytest.raises(OptionError):
        tokens(seekvl.ImageConfig(max_tiles=0))


def test_a_batch_gives_what_each_gives_alone(picture: Path) -> None:
    # Of what is kept from an answer, latent attention makes the next with other roundings.
    model = seekvl.load(recall=False)
    questions = ["What is this?", "Hello!", "Why?"]
    together = model.batch([(picture, question) for question in questions], max_new_tokens=8)
    alone = [model.ask(picture, question, max_new_tokens=8) for question in questions]
    assert together == alone
    assert model.batch([]) == []


def test_plans_say_what_an_answer_takes(tiny: seekvl.Model, picture: Path) -> None:
    plan = tiny.plan([picture, PICTURES / "one.png"], "What is this?", max_new_tokens=4)
    answer = tiny.ask([picture, PICTURES / "one.png"], "What is this?", max_new_tokens=4)
    assert plan.prompt_tokens == answer.prompt_tokens
    assert tuple(image.tokens for image in plan.images) == answer.image_tokens
    assert plan.memory["peak"] > plan.memory["weights"]["mapped"] > 0
    assert plan.fits
    before = seekvl.plan(
        REFERENCE / "vl2-tiny-like", [picture, PICTURES / "one.png"], "What is this?", max_new_tokens=4
    )
    assert before == plan
    assert not seekvl.plan("nano", None, "word " * 100_000).fits


def test_info_and_tokens(tiny: seekvl.Model) -> None:
    assert tiny.info()["language"]["attention"] == "grouped"
    assert seekvl.load(REFERENCE / "vl2-small-like").info()["language"]["attention"] == "latent"
    text = "Two cups, 你好 <|ref|>"
    ids = tiny.encode(text)
    assert tiny.decode(ids) == text
    assert "<|ref|>" not in tiny.decode(ids, skip_special_tokens=True)


def test_weights_are_kept_as_asked(picture: Path) -> None:
    folder = REFERENCE / "vl2-tiny-like"
    expected = seekvl.load(folder).ask(picture, "?", max_new_tokens=4).tokens
    assert seekvl.load(folder, dtype="float32").ask(picture, "?", max_new_tokens=4).tokens == expected
    import numpy as np

    assert "float32" in repr(seekvl.load(folder, dtype=np.float32))
    assert len(seekvl.load(folder, dtype="bf16").ask(picture, "?", max_new_tokens=4).tokens) == 4


@pytest.mark.parametrize("quantization", ["q8_0", "q4_0", "q4_k_m"])
def test_weights_are_rounded_as_asked(picture: Path, quantization: str) -> None:
    folder = REFERENCE / "vl2-tiny-like"
    model = seekvl.load(folder, quantization=quantization)
    assert len(model.ask(picture, "?", max_new_tokens=4, ignore_eos=True).tokens) == 4
    exact, rounded = seekvl.load(folder).vision_features(picture), model.vision_features(picture)
    assert 0 < abs(exact - rounded).max() < 0.1 * abs(exact).max()
    weights = seekvl.plan(folder, picture, quantization=quantization).memory["weights"]
    assert 0 < weights["held"] + weights["mapped"] < 2_000_000


def test_experts_may_stay_on_disk(picture: Path) -> None:
    folder = REFERENCE / "vl2-small-like"
    expected = seekvl.load(folder).ask(picture, "?", max_new_tokens=4)
    assert expected.experts is None
    answer = seekvl.load(folder, expert_budget=50_000).ask(picture, "?", max_new_tokens=4)
    assert answer.tokens == expected.tokens
    experts = answer.experts
    assert experts is not None
    assert experts.budget == 50_000
    assert 0 < experts.resident <= experts.most_resident <= 50_000
    assert experts.bytes_read > experts.reads > 0
    assert experts.hit_rate == experts.hits / (experts.hits + experts.reads)
    assert answer.to_dict()["experts"]["reads"] == experts.reads
    with pytest.raises(OptionError, match="too small"):
        seekvl.load(folder, expert_budget=1)
    with pytest.raises(OptionError, match="expert_budget"):
        seekvl.load(folder, expert_budget=-1)
    plans = [seekvl.plan(folder, picture, expert_budget=budget).memory["weights"] for budget in (None, 50_000)]
    assert plans[1]["mapped"] < plans[0]["mapped"]


def test_a_window_takes_what_is_longer_than_the_context(picture: Path) -> None:
    folder = REFERENCE / "vl2-tiny-like"
    question = "and so on " * 2000
    with pytest.raises(PromptTooLongError):
        seekvl.load(folder).ask(picture, question, max_new_tokens=2)
    answer = seekvl.load(folder, context_window=64).ask(picture, question, max_new_tokens=2)
    assert answer.prompt_tokens > 4096
    assert seekvl.plan(folder, picture, question, context_window=64).fits
    for window in (0, 5000):
        with pytest.raises(OptionError, match="context_window"):
            seekvl.load(folder, context_window=window)


def test_caches_have_types(picture: Path) -> None:
    folder = REFERENCE / "vl2-small-like"
    plans = [seekvl.plan(folder, picture, cache_dtype=dtype) for dtype in ("float32", "bfloat16", "q8_0")]
    assert [plan.cache_type for plan in plans] == ["f32", "bf16", "q8_0"]
    assert plans[0].cache_bytes_per_token == 2 * plans[1].cache_bytes_per_token
    assert plans[2].cache_bytes_per_token < 0.6 * plans[1].cache_bytes_per_token
    answers = [
        seekvl.load(folder, cache_dtype=dtype).ask(picture, "What is it?", max_new_tokens=8)
        for dtype in ("auto", "float32", "q8_0")
    ]
    assert answers[0].tokens == answers[1].tokens
    assert len(answers[2].tokens) == 8
    with pytest.raises(OptionError, match="cache"):
        seekvl.load(folder, cache_dtype="q3")


def test_what_cannot_be_loaded_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="has no model"):
        seekvl.load(tmp_path)
    with pytest.raises(ModelNotFoundError, match="downloads are off"):
        seekvl.load("someone/no-such-model", local_files_only=True)
    with pytest.raises(ModelNotFoundError, match="not a model"):
        seekvl.load("no such thing")
    for nameless in (seekvl.load(), 7, None):
        with pytest.raises(TypeError, match="names no model"):
            seekvl.load(nameless)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="names no model"):
            seekvl.quantize(nameless, "q8_0", tmp_path / "out.gguf")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="int7"):
        seekvl.load(dtype="int7")
    with pytest.raises(OptionError, match="cpu"):
        seekvl.load(device="tpu")
    with pytest.raises(OptionError, match="cuda"):
        seekvl.load(device="cuda")
    with pytest.raises(OptionError, match="quantiz"):
        seekvl.load(quantization="int3")
    for file in (REFERENCE / "vl2-tiny-like").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(CheckpointError, match="tensor") as caught:
        seekvl.load(tmp_path)
    assert caught.value.causes[0] in str(caught.value)
    (tmp_path / "config.json").write_text('{"model_type": 7}')
    with pytest.raises(CheckpointError, match=r"config\.json"):
        seekvl.load(tmp_path)


def test_what_cannot_be_answered_is_an_error_that_says_why(tiny: seekvl.Model, picture: Path) -> None:
    with pytest.raises(ConversationError, match="2 <image> placeholders for 1 images"):
        tiny.generate("<image> and <image>", [picture])
    with pytest.raises(ConversationError, match="no message"):
        tiny.chat([])
    with pytest.raises(PromptTooLongError, match="4096"):
        tiny.ask(None, "word " * 5000)
    with pytest.raises(ImageError, match=r"none\.png") as caught:
        tiny.ask(PICTURES / "none.png", "?")
    assert len(caught.value.causes) > 1
    assert isinstance(caught.value, seekvl.Error)
    with pytest.raises(ImageError, match="limit of 100 pixels"):
        tiny.ask(picture, "?", image_config=seekvl.ImageConfig(max_pixels=100))
    with pytest.raises(TypeError, match="question is a NoneType"):
        tiny.ask(picture, None)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="list of numbers"):
        tiny.ask([1, 2, 3], "?")  # type: ignore[list-item]


def test_errors_can_be_pickled() -> None:
    error = ImageError("cannot read it: it is gone", ["cannot read it", "it is gone"])
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.causes) == (ImageError, str(error), error.causes)


def test_models_are_pickled_by_reference(picture: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(REFERENCE)
    model = seekvl.load("vl2-tiny-like", dtype="bfloat16")
    pickled = pickle.dumps(model)
    assert len(pickled) < 1000
    monkeypatch.chdir(tmp_path)
    copy = pickle.loads(pickled)
    assert repr(copy) == repr(model)
    assert copy.ask(picture, "?", max_new_tokens=4).tokens == model.ask(picture, "?", max_new_tokens=4).tokens
