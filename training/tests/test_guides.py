"""Heads are guided to the visual tokens that show the characters of an answer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from PIL import Image

from nano_training.batch import collate, encode
from nano_training.guides import NOWHERE, aims_of
from nano_training.lessons import easy_text
from nano_training.modeling.config import NanoConfig
from nano_training.modeling.packing import pack
from nano_training.sample import Box, Glyph, Picture, Question, Sample
from nano_training.targets import FIRST_CHARACTER
from nano_training.tiling import TILE, views
from nano_training.tokenizer import NanoTokenizer

CONFIG = NanoConfig()
TOKENIZER = NanoTokenizer(Path(__file__).parents[2] / "nano" / "model" / "tokenizer.json")
SIDE = CONFIG.side
LOCAL = SIDE * (SIDE + 1) + 1
"""Tokens of the view of the whole, each row with its newline, and of the separator."""


def aimed(text: str, corners: list[tuple[int, int]], size: tuple[int, int], task: str, answer: str) -> list[list[int]]:
    """The aims of `answer` where a picture has characters of 12 x 12 pixels at `corners`."""
    glyphs = [Glyph(each, Box(x, y, x + 12, y + 12)) for each, (x, y) in zip(text, corners, strict=True)]
    picture = Picture(Image.new("RGB", size), glyphs)
    aims = aims_of(Question(task, "?", answer), Sample([picture], []), [views(picture.image)], 5, CONFIG)
    return [list(aim) for aim in aims]


def test_they_point_at_the_token_of_both_views_of_a_small_picture() -> None:
    # Tokens show 28 x 28 pixels; the blank is where the "b" is, which begins the next row of tokens.
    below = SIDE + 1
    a, b = [5, 5 + LOCAL], [5 + below + 1, 5 + LOCAL + below + 1]
    assert aimed("ab", [(3, 3), (30, 29)], (TILE, TILE), "read/line", "a b") == [a, b, b]


def test_they_point_at_a_tile_where_the_whole_is_too_small() -> None:
    # Two tiles side by side: a row has the tokens of both. Halved, the characters cannot be told.
    across = 2 * SIDE + 1
    expected = [[-1, 5 + LOCAL + SIDE + 1]], [[-1, 5 + LOCAL + across]]
    assert aimed("a", [(TILE + 30, 3)], (2 * TILE, TILE), "read/line", "a") == expected[0]
    assert aimed("a", [(3, 30)], (2 * TILE, TILE), "read/line", "a") == expected[1]


def test_nothing_is_aimed_at_that_is_not_printed_once() -> None:
    corners = [(3, 3), (31, 3), (59, 3)]
    assert aimed("aba", corners, (TILE, TILE), "document/field", "a") == []
    assert aimed("aba", corners, (TILE, TILE), "document/field", "c") == []
    assert aimed("aba", corners, (TILE, TILE), "chart/count", "b") == []


def test_rows_of_a_batch_aim_at_what_they_shall_write() -> None:
    encoded = [encode(easy_text(random.Random(seed), "train"), TOKENIZER, CONFIG, 100) for seed in range(8)]
    batch = collate(encoded, TOKENIZER, CONFIG)
    side = CONFIG.side
    joined = batch.characters.view(-1, side, 2, side, 2, 2).permute(0, 1, 3, 2, 4, 5).reshape(-1, 8)
    starts, start = [], 0
    for each in encoded:
        starts += [start] * each.length
        start += each.length
    rows = torch.nonzero((batch.aims >= 0).all(-1)).squeeze(1).tolist()
    assert len(rows) > 30
    for row in rows:
        character = TOKENIZER.decode([int(batch.targets[row])])
        for aim in batch.aims[row].tolist():
            slot = int(batch.slots[starts[row] + aim])
            printed = {chr(FIRST_CHARACTER + code) for code in joined[slot].tolist()}
            assert character.isspace() or character in printed
    assert all(tuple(aims) == NOWHERE for aims in batch.aims[batch.targets == TOKENIZER.eos].tolist())


def test_shares_missed_are_those_of_attention() -> None:
    packing = pack([3, 2], [(0, 2), (1, 2)])
    torch.manual_seed(0)
    query, key = torch.randn(2, packing.length, 1, 4)
    aims = torch.full((packing.length, 2), -1)
    aims[4] = torch.tensor([1, 2])
    aims[8] = torch.tensor([-1, 0])
    missed, counts = packing.shares_missed(query, key, aims)
    assert counts.tolist() == [1, 1]
    second = ((query[4, 0] / 2) @ key[:5, 0].T).softmax(-1)
    last = ((query[8, 0] / 2) @ key[5:9, 0].T).softmax(-1)
    assert torch.allclose(missed.exp() ** -1, torch.stack((second[1] + second[2], last[0])), atol=1e-5)
