"""Jobs over many pictures, for any engine that hands a function columns and takes columns back.

`Predictor` is such a function. It imports no engine:

    ds = ray.data.read_images("pictures/").map_batches(Predictor, fn_constructor_kwargs={...}, ...)

or, without one, `Predictor("nano")({"image": paths, "prompt": questions})`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

from seekvl._config import GenerationConfig, ImageConfig
from seekvl._core import Image
from seekvl._images import as_images
from seekvl._model import Model
from seekvl._names import NANO, model_name
from seekvl._results import Answer
from seekvl.errors import Error

__all__ = ["Column", "Columns", "Predictor", "read_keys"]


class Column(Protocol):
    """A list, or an array."""

    def __len__(self) -> int: ...
    def __getitem__(self, row: int, /) -> Any: ...  # noqa: ANN401


# Columns of equal length, by their names.
Columns: TypeAlias = Mapping[str, Column]

_READ = 1 << 20
# Of the arguments of `Model.from_pretrained` those that an answer depends on.
_ANSWER = ("dtype", "quantization", "context_window", "cache_dtype", "revision")


class Predictor:
    """Answers a prompt about an image (or a list of them, or none) in each row.

    It can be pickled at any time, and loads its model when it is first called, in the process where that happens.

    Out come the columns that went in, without the images, and

    - `key`: a digest of the image's content, the prompt, the model and the options. The same key means the same answer;
    - `text`, `raw`, `finish_reason`: as in `Answer`;
    - `boxes`: JSON, a list of objects with `label`, `relative`, `pixels` and `confidence`;
    - `prompt_tokens`, `tokens`: counts;
    - `error`: why there is no answer, or "" where there is one. A bad row never fails the others.

    Args:
        model: As `Model.from_pretrained` takes it.
        load_options: Other arguments of `Model.from_pretrained`.
        config: How answers are made.
        image_config: How images are read.
        system: What the model is told first.
        prompt: What is asked where there is no column of prompts, and in rows that have none.
        image_column: The column of images: paths, bytes, arrays, or lists of these.
        prompt_column: The column of prompts.
        batch_size: The most rows that are answered together. More take more memory and, up to a point, less time.
        done: Keys of rows that need no answer any more. They are left out of what comes out.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = NANO,
        *,
        load_options: Mapping[str, Any] | None = None,
        config: GenerationConfig | None = None,
        image_config: ImageConfig | None = None,
        system: str | None = None,
        prompt: str | None = None,
        image_column: str = "image",
        prompt_column: str = "prompt",
        batch_size: int = 8,
        done: Collection[str] = (),
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be 1 or more")
        self.model_name: str = model_name(model)
        self.load_options: dict[str, Any] = {"progress": False, **(load_options or {})}
        self.config: GenerationConfig = config or GenerationConfig()
        self.image_config: ImageConfig = image_config or ImageConfig()
        self.system = system
        self.prompt = prompt
        self.image_column = image_column
        self.prompt_column = prompt_column
        self.batch_size = batch_size
        self.done: frozenset[str] = frozenset(done)
        self._model: Model | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}

    @property
    def model(self) -> Model:
        """The model, which is loaded if need be."""
        if self._model is None:
            self._model = Model.from_pretrained(self.model_name, **self.load_options)
        return self._model

    def __call__(self, columns: Columns) -> dict[str, list[Any]]:
        """Answers the rows of some columns.

        Raises:
            KeyError: There is neither a column of prompts nor a `prompt`.
            ValueError: Columns of different lengths.
            ModelError: The model cannot be loaded, which is no fault of a row.
        """
        rows = [_Row(index, *row) for index, row in enumerate(self._inputs(columns))]
        for row in rows:
            row.key = self._try(row, self._key) or ""
        rows = [row for row in rows if not row.key or row.key not in self.done]
        kept = {name: column for name, column in columns.items() if name != self.image_column}
        output: dict[str, list[Any]] = {name: [column[row.index] for row in rows] for name, column in kept.items()}
        sound = [row for row in rows if not row.error]
        if sound:
            # What is wrong with the model is no row's fault.
            _ = self.model
        for start in range(0, len(sound), self.batch_size):
            self._answer(sound[start : start + self.batch_size])
        for name in ("key", "text", "raw", "finish_reason", "boxes", "prompt_tokens", "tokens", "error"):
            output[name] = [row.output()[name] for row in rows]
        return output

    def key(self, image: object, prompt: str) -> str:
        """The key of a row: 64 hexadecimal digits.

        Raises:
            ImageError: An image cannot be read.
        """
        how = {
            "model": self.model_name,
            "load": {name: str(value) for name, value in self.load_options.items() if name in _ANSWER},
            "config": asdict(self.config),
            "image_config": asdict(self.image_config),
            "system": self.system,
            "prompt": prompt,
        }
        digest = hashlib.sha256(json.dumps(how, sort_keys=True).encode())
        for picture in as_images(_images(image), self.image_config):
            digest.update(b"\0image\0")
            for piece in _content(picture):
                digest.update(piece)
        return digest.hexdigest()

    def _key(self, row: _Row) -> str:
        if not isinstance(row.prompt, str):
            raise TypeError(f"the prompt is {row.prompt!r}, which is no text")
        return self.key(row.image, row.prompt)

    def _inputs(self, columns: Columns) -> Iterator[tuple[object, object]]:
        images = columns.get(self.image_column)
        prompts = columns.get(self.prompt_column)
        if prompts is None and self.prompt is None:
            raise KeyError(f"there is no column {self.prompt_column!r}, and no prompt was given for all rows")
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns are of different lengths: {lengths}")
        for index in range(next(iter(lengths.values()), 0)):
            prompt: object = None if prompts is None else prompts[index]
            # None and NaN are how tables leave a field empty.
            if prompt is None or (isinstance(prompt, float) and math.isnan(prompt)):
                prompt = self.prompt
            yield (None if images is None else images[index]), prompt

    def _answer(self, rows: list[_Row]) -> None:
        """Answers rows together; if that fails, one by one, so that the others get their answers."""
        if len(rows) > 1:
            try:
                answers = self._ask(rows)
            except Error:
                for row in rows:
                    self._answer([row])
            else:
                for row, answer in zip(rows, answers, strict=True):
                    row.answer = answer
        else:
            for row in rows:
                row.answer = self._try(row, lambda row: self._ask([row])[0])

    def _ask(self, rows: Iterable[_Row]) -> list[Answer]:
        conversations = [[*self._told(), row.message()] for row in rows]
        return self.model.batch(conversations, config=self.config, image_config=self.image_config)

    def _told(self) -> list[dict[str, Any]]:
        return [] if self.system is None else [{"role": "system", "content": self.system}]

    @staticmethod
    def _try(row: _Row, work: Any) -> Any:  # noqa: ANN401
        """What `work` makes of the row, or `None`, and the row then has the error."""
        try:
            return work(row)
        except (Error, OSError, TypeError, ValueError) as error:
            row.error = f"{type(error).__name__}: {error}"
            return None


class _Row:
    """A row on its way."""

    def __init__(self, index: int, image: object, prompt: object) -> None:
        self.index = index
        self.image = image
        self.prompt = prompt
        self.key = ""
        self.error = ""
        self.answer: Answer | None = None

    def message(self) -> dict[str, Any]:
        image = _images(self.image)
        images: list[Any] = [] if image is None else image if isinstance(image, list) else [image]
        prompt = str(self.prompt)
        text = prompt if "<image>" in prompt else "<image>\n" * len(images) + prompt
        return {"role": "user", "content": text, "images": images}

    def output(self) -> dict[str, Any]:
        answer = self.answer
        boxes = [
            {"label": box.label, "relative": box.relative, "pixels": box.pixels, "confidence": box.confidence}
            for box in (answer.boxes if answer else ())
        ]
        return {
            "key": self.key,
            "text": answer.text if answer else "",
            "raw": answer.raw if answer else "",
            "finish_reason": answer.finish_reason if answer else "",
            "boxes": json.dumps(boxes, ensure_ascii=False),
            "prompt_tokens": answer.prompt_tokens if answer else 0,
            "tokens": len(answer.tokens) if answer else 0,
            "error": self.error,
        }


def read_keys(folder: str | os.PathLike[str]) -> set[str]:
    """The keys of rows that earlier runs have answered, from the JSON Lines files (`*.json*`) in a folder.

    Rows with an error do not count, and neither do lines that were cut short. A folder that is not there has none.
    """
    keys: set[str] = set()
    for path in sorted(Path(folder).glob("*.json*")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    row: Any = json.loads(line)
                except ValueError:
                    continue
                if isinstance(row, dict):
                    row = cast("dict[str, Any]", row)
                    if row.get("key") and not row.get("error"):
                        keys.add(str(row["key"]))
    return keys


def _images(image: object) -> Any:  # noqa: ANN401
    """One image or a list of them; engines hand lists over as arrays of objects."""
    if getattr(getattr(image, "dtype", None), "kind", None) == "O":
        return list(cast("Iterable[object]", image))
    return image


def _content(image: Image) -> Iterator[bytes]:
    """What is in an image: of a file its bytes, so that it need not be decoded."""
    _, (kind, content, how) = image.__reduce__()
    if kind == "path":
        try:
            with Path(content).open("rb") as file:
                while piece := file.read(_READ):
                    yield piece
        except OSError:
            # Says what is wrong in the words of every other image.
            image.load()
            raise
    else:
        if kind == "pixels":
            yield f"{how[0]}x{how[1]}".encode()
        yield content
