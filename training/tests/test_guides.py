"""Heads are guided to the visual tokens that show the characters of an answer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from PIL import Image

from nano_training.batch import collate, encode
from nano_training.guides import NOWHERE, Sight, aims_of, corners_of
from nano_training.lessons import easy_text
from nano_training.modeling.config import NanoConfig
from nano_training.modeling.packing import pack
from nano_training.sample import Box, Glyph, Picture, Question, Sample, Thing, markup
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
    aims = aims_of(Question(task, "?", answer), Sight(picture, views(picture.image), 5, CONFIG))
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


def test_a_text_that_is_part_of_others_is_found_where_it_is_a_word() -> None:
    # "12", and below it "125".
    corners = [(3, 3), (14, 3), (3, 40), (14, 40), (25, 40)]
    first = [[5, 5 + LOCAL], [5, 5 + LOCAL]]
    assert aimed("12125", corners, (TILE, TILE), "chart/value", "12") == first
    assert aimed("12125", [(x, 3) for x in (3, 15, 27, 39, 51)], (TILE, TILE), "chart/value", "12") == []


def test_bars_of_a_table_are_not_looked_for() -> None:
    a, b = [5, 5 + LOCAL], [5 + 2, 5 + LOCAL + 2]
    c = [5 + SIDE + 1, 5 + LOCAL + SIDE + 1]
    table = "| a | b |\n|---|---|\n| c |"
    aims = aimed("abc", [(3, 3), (59, 3), (3, 31)], (TILE, TILE), "read/table", table)
    assert aims == [*[a] * 3, *[b] * 4, *[c] * (len(table) - 7)]


def boxes_aimed(picture: Picture, answer: str) -> list[list[int]]:
    """The aims of the coordinates in `answer`."""
    aims = corners_of(Question("ground/text", "?", answer), Sight(picture, views(picture.image), 5, CONFIG))
    return [list(aim) for aim in aims]


def test_coordinates_aim_at_the_ends_of_a_text_and_the_middle_of_a_thing() -> None:
    glyphs = [Glyph(each, Box(x, 3, x + 12, 15)) for each, x in (("a", 3), ("b", 15), ("c", 59))]
    thing = Thing("cup", "red", Box(84, 84, 140, 140))
    picture = Picture(Image.new("RGB", (TILE, TILE)), glyphs, [thing])
    left, right, middle = ([5 + place, 5 + LOCAL + place] for place in (0, 2, 4 * (SIDE + 1) + 4))
    text = markup("abc", [Box(3, 3, 71, 15)], picture.image.size)
    assert boxes_aimed(picture, text) == [left, left, right, right]
    assert boxes_aimed(picture, markup("it", [thing.box, Box(3, 3, 27, 15)], picture.image.size)) == [
        *[middle] * 4,
        *[left] * 4,
    ]
    assert boxes_aimed(picture, "no box") == []


def test_tokens_of_a_coordinate_share_its_aim() -> None:
    glyphs = [Glyph("a", Box(3, 3, 15, 15)), Glyph("b", Box(150, 3, 162, 15))]
    picture = Picture(Image.new("RGB", (TILE, TILE)), glyphs)
    answer = markup("ab", [Box(3, 3, 162, 15)], picture.image.size)
    made = Sample([picture], [Question("ground/text", "Where is ab?", answer)])
    encoded = encode(made, TOKENIZER, CONFIG, 100)
    first = encoded.ids.index(TOKENIZER.image)
    asked = encoded.questions[0]
    text = [TOKENIZER.decode([token]) for token in asked.answer]
    digits = [aim for token, aim in zip(text, asked.aims, strict=True) if token.isdigit()]
    left, right = ((first + place, first + LOCAL + place) for place in (0, 5))
    numbers = [str(value) for value in Box(3, 3, 162, 15).in_thousandths((TILE, TILE))]
    assert digits == [*[left] * len(numbers[0] + numbers[1]), *[right] * len(numbers[2] + numbers[3])]
    assert asked.aims[0] == NOWHERE
    assert asked.aims[-1] == NOWHERE


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
