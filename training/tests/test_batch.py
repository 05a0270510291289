"""What the tokens of an answer count."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from nano_training.batch import DIGITS, encode_question
from nano_training.sample import Question
from nano_training.tokenizer import NanoTokenizer

TOKENIZER = NanoTokenizer(Path(__file__).parents[2] / "nano" / "model" / "tokenizer.json")


def told(task: str, answer: str) -> list[tuple[str, float]]:
    """The tokens of an answer with their weights, relative to that of the end."""
    asked = encode_question(Question(task, "What?", answer), TOKENIZER)
    assert len(asked.answer) == len(asked.weights)
    return [
        (TOKENIZER.decode([token]), weight / asked.weights[-1])
        for token, weight in zip(asked.answer, asked.weights, strict=True)
    ]


def test_first_digits_of_coordinates_count_most() -> None:
    tokens = told("ground/thing", "<|ref|>the 12<|/ref|><|det|>[[123, 45, 7, 999]]<|/det|>")
    inside = [text for text, _ in tokens].index("<|det|>")
    digits = [(text, pytest.approx(weight)) for text, weight in tokens[inside:] if text.isdigit()]
    others = [*tokens[:inside], *(token for token in tokens[inside:] if not token[0].isdigit())]
    assert all(weight == pytest.approx(1.0) for _, weight in others)
    first, second, third = DIGITS
    expected = [("1", first), ("2", second), ("3", third), ("4", first), ("5", second), ("7", first)]
    assert digits == [*expected, ("9", first), ("9", second), ("9", third)]


def test_other_digits_count_as_all_tokens_do() -> None:
    assert all(weight == pytest.approx(1.0) for _, weight in told("document/total", "$ 123.45"))
