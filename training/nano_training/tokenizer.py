"""The tokenizer: a small byte-level BPE, with the special tokens of DeepSeek-VL2.

`python -m nano_training.tokenizer --out tokenizer.json` learns it from the generator's questions.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .mixture import Mixture, sample

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
IMAGE, USER, ASSISTANT = "<image>", "<|User|>", "<|Assistant|>"
SPECIAL = (BOS, EOS, PAD, IMAGE, USER, ASSISTANT, "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>")

VOCABULARY = 512
"""Few merges: letters that are read stay near to letters that are seen."""

WORDS = Regex(r"\p{N}| ?\p{L}+|[^\r\n\p{L}\p{N}]|[\r\n]")
"""Digits one by one, words with the space before them, all else one by one."""


def train(corpus: Iterable[str]) -> Tokenizer:
    """Learns the merges from `corpus`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(WORDS, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, normalized=False) for token in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


class NanoTokenizer:
    """Text to ids and back."""

    def __init__(self, path: Path) -> None:
        self.inner = Tokenizer.from_file(str(path))
        self.bos, self.eos, self.pad = (self._id(token) for token in (BOS, EOS, PAD))
        self.image, self.box, self.box_end = (self._id(token) for token in (IMAGE, "<|det|>", "<|/det|>"))
        self._spelled: dict[str, list[int]] = {}
        self.digits = {self._id(digit) for digit in "0123456789"}

    def _id(self, token: str) -> int:
        found = self.inner.token_to_id(token)
        assert found is not None, token
        return found

    def encode(self, text: str) -> list[int]:
        """The ids of text, special tokens recognised, none added."""
        ids: list[int] = self.inner.encode(text, add_special_tokens=False).ids
        return ids

    def spell(self, text: str) -> list[int]:
        """The ids of text character by character, as if there were no merges."""
        for character in set(text) - self._spelled.keys():
            self._spelled[character] = self.encode(character)
        return [token for character in text for token in self._spelled[character]]

    def decode(self, ids: list[int]) -> str:
        """The text of ids, special tokens included."""
        text: str = self.inner.decode(ids, skip_special_tokens=False)
        return text


def corpus(count: int) -> Iterator[str]:
    """Questions, and answers that are not read off the picture: merges should not hide letters that are."""
    for seed in range(count):
        for question in sample(seed, "train", Mixture()).questions:
            yield question.text
            if question.task.startswith(("scene/", "ground/", "caption/", "pair/", "absent/")):
                yield question.answer.split("<|det|>")[0]


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="tokenizer.json")
    parser.add_argument("--count", type=int, default=2000, help="samples to learn from")
    given = parser.parse_args()
    train(corpus(given.count)).save(str(given.out))


if __name__ == "__main__":
    main()
