"""Many sequences in one row of tokens: pictures, and questions that see their pictures but not each other.

So a step pays for a picture once, however many questions it has, and nothing for padding outside of attention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from .layers import attention


@dataclass
class Questions:
    """Some questions of similar length: N of at most L tokens.

    `index` [N, L]: their places in the row, the row's length as padding; `owner` [N]: whose pictures each sees;
    `seen` bool [N, 1, L, P + L]: which of the pictures' and its own tokens each token sees.
    """

    index: Tensor
    owner: Tensor
    seen: Tensor


@dataclass
class Packing:
    """Where the sequences are in a row of `length` tokens.

    `pictures` [B, P]: places of each sample's tokens before its questions, padded on the right with `length`;
    `back` [length]: where each token is found after pictures and groups of questions are laid end to end.
    """

    length: int
    pictures: Tensor
    groups: list[Questions]
    back: Tensor

    def each(self, function: Callable[[Tensor], Tensor]) -> Packing:
        """The same with a function of each tensor in its place."""
        groups = [Questions(*(function(getattr(group, part.name)) for part in fields(group))) for group in self.groups]
        return Packing(self.length, function(self.pictures), groups, function(self.back))

    def shares_missed(self, query: Tensor, key: Tensor, aims: Tensor) -> tuple[Tensor, Tensor]:
        """Minus the logarithm of the attention that goes to any of the tokens `aims` [length, n] of the own pictures,
        for every token of a question with one that is not -1, and how much each counts; query and key are those of one
        head, [length, 1, width].
        """
        query, key = (functional.pad(x, (0, 0, 0, 0, 0, 1)) for x in (query, key))
        aims = functional.pad(aims, (0, 0, 0, 1), value=-1)
        picture_key = rows(key, self.pictures)
        missed = []
        for group in self.groups:
            keys = torch.cat((picture_key.index_select(0, group.owner), rows(key, group.index)), 2)
            own_query = rows(query, group.index) * query.shape[-1] ** -0.5
            scores = (own_query @ keys.transpose(-1, -2)).masked_fill(~group.seen, -torch.inf)[:, 0].float()
            aimed = aims[group.index]
            told = (aimed >= 0).any(-1)
            logs = (scores[told]).log_softmax(-1).gather(-1, aimed[told].clamp(min=0))
            missed.append(-logs.masked_fill(aimed[told] < 0, -torch.inf).logsumexp(-1))
        all_missed = torch.cat(missed)
        return all_missed, torch.ones_like(all_missed)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Causal attention within the sequences; all three and the result are [length, heads, width]."""
        query, key, value = (functional.pad(x, (0, 0, 0, 0, 0, 1)) for x in (query, key, value))
        picture_query, picture_key, picture_value = (rows(x, self.pictures) for x in (query, key, value))
        after = torch.full((picture_query.shape[2],) * 2, -torch.inf, dtype=query.dtype, device=query.device).triu(1)
        outputs = [attention(picture_query, picture_key, picture_value, after)]
        for group in self.groups:
            own_query, own_key, own_value = (rows(x, group.index) for x in (query, key, value))
            keys = torch.cat((picture_key.index_select(0, group.owner), own_key), 2)
            values = torch.cat((picture_value.index_select(0, group.owner), own_value), 2)
            bias = torch.zeros(group.seen.shape, dtype=query.dtype, device=query.device)
            outputs.append(attention(own_query, keys, values, bias.masked_fill_(~group.seen, -torch.inf)))
        return torch.cat([output.transpose(1, 2).flatten(0, 1) for output in outputs]).index_select(0, self.back)


def rows(x: Tensor, index: Tensor) -> Tensor:
    """Rows `index` [N, L] of x [length, heads, width] as [N, heads, L, width]. (Indexing has a slow backward pass.)"""
    return x.index_select(0, index.flatten()).unflatten(0, index.shape).transpose(1, 2)


GROUP = 48
"""Most questions that attend together; they are sorted by length."""

LONGER = 1.25
"""How much longer than the shortest of its group a question may be, beside eight tokens; all are padded."""


def pack(pictures: list[int], questions: list[tuple[int, int]]) -> Packing:
    """The packing of samples in this order in the row: for each of `pictures` its number of tokens, then its questions.

    `questions` gives each question's sample and number of tokens, sample by sample.
    """
    starts, question_starts = [], []
    place = 0
    by_owner: list[list[int]] = [[] for _ in pictures]
    for number, (owner, _) in enumerate(questions):
        by_owner[owner].append(number)
    question_starts = [0] * len(questions)
    for owner, length in enumerate(pictures):
        starts.append(place)
        place += length
        for number in by_owner[owner]:
            question_starts[number] = place
            place += questions[number][1]
    picture_index = _ranges(starts, pictures, place)
    groups = []
    for chosen in _alike([length for _, length in questions]):
        lengths = [questions[number][1] for number in chosen]
        index = _ranges([question_starts[number] for number in chosen], lengths, place)
        owner_of = torch.tensor([questions[number][0] for number in chosen])
        before = (picture_index[owner_of] < place)[:, None].expand(-1, index.shape[1], -1)
        causal = torch.ones(index.shape[1], index.shape[1], dtype=torch.bool).tril()
        seen = torch.cat((before, causal.expand(len(chosen), -1, -1)), -1)
        groups.append(Questions(index, owner_of, seen[:, None]))
    laid = torch.cat([picture_index.flatten(), *(group.index.flatten() for group in groups)])
    back = torch.empty(place + 1, dtype=torch.long)
    back[laid] = torch.arange(len(laid))
    return Packing(place, picture_index, groups, back[:place])


def _alike(lengths: list[int]) -> list[list[int]]:
    """Numbers of questions in groups of similar length, shortest first."""
    groups: list[list[int]] = []
    shortest = 0
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not groups or len(groups[-1]) == GROUP or lengths[number] > LONGER * shortest + 8:
            groups.append([])
            shortest = lengths[number]
        groups[-1].append(number)
    return groups


def _ranges(starts: list[int], lengths: list[int], padding: int) -> Tensor:
    longest = max(lengths, default=0)
    offsets = torch.arange(longest)
    index = torch.tensor(starts)[:, None] + offsets
    return torch.where(offsets < torch.tensor(lengths)[:, None], index, padding)
