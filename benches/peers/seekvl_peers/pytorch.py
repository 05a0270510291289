"""PyTorch, by the parts of transformers that have these shapes, with random weights.

The original's own code needs a transformers of its time. These parts compute the same: SigLIP's tower, and the decoder
of DeepSeek-OCR, which is VL2-Tiny's. Unlike the original they send only the last position of a prompt through the
output layer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from transformers import DynamicCache, SiglipVisionConfig, SiglipVisionModel
from transformers.initialization import no_init_weights
from transformers.models.deepseek_ocr2.configuration_deepseek_ocr2 import DeepseekOcr2TextConfig
from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import DeepseekOcr2TextModel

from seekvl_peers import pixels, shapes
from seekvl_peers.files import Files
from seekvl_peers.plan import DECODED, PICTURE, QUESTION, Kind, Work

#: Random values are drawn once and repeated; a prime, so that no two rows of a matrix are equal.
_DRAWN = (1 << 20) + 7


class PyTorch:
    """The parts of a model that the works need."""

    def __init__(self, model: str, threads: int, files: Files, kinds: Collection[Kind]) -> None:
        """Make the parts, in bf16."""
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.model, self.files = model, files
        whole = Kind.END_TO_END in kinds
        if whole or Kind.VISION in kinds:
            self.tower = _made(lambda: Tower(shapes.tower(model)), torch.bfloat16)
        if whole:
            self.decoder = _made(lambda: Decoder(shapes.language(model)), torch.bfloat16)
        parts = [part for part in vars(self).values() if isinstance(part, nn.Module)]
        self.weights_bytes: int = sum(p.nbytes for part in parts for p in part.parameters())

    def measure(self, work: Work) -> float:
        """Seconds for the work.

        Raises:
            ValueError: The work is no tower's and no whole answer.
        """
        with torch.inference_mode():
            match work.kind:
                case Kind.VISION:
                    side = shapes.tower(self.model).picture
                    tiles = torch.randn(work.size, 3, side, side).to(torch.bfloat16)
                    return _seconds(lambda: self.tower(tiles))
                case Kind.END_TO_END:
                    picture = Image.open(self.files.photograph(*PICTURE)).convert("RGB")
                    return _seconds(lambda: self._answer(picture))
        raise ValueError(f"PyTorch is not measured at {work}")

    def _answer(self, picture: Any) -> None:
        """Look at a picture, take in a question, answer greedily."""
        views, (columns, rows) = pixels.views(picture, self.model)
        visual = self.tower.arrange(self.tower(views.to(torch.bfloat16)), columns, rows)
        prompt = torch.cat([visual, self.decoder.embed(self._random_ids(QUESTION))])
        cache = self.decoder.cache()
        for _ in range(DECODED):
            chosen = self.decoder(prompt, cache).argmax(-1)
            prompt = self.decoder.embed(chosen[None])

    def _random_ids(self, count: int) -> Any:
        return torch.randint(0, shapes.language(self.model).vocabulary, (count,))


class Tower(nn.Module):
    """SigLIP and a projector that merges two by two patches."""

    def __init__(self, shape: shapes.Tower) -> None:
        """Make the modules."""
        super().__init__()
        self.shape = shape
        config = SiglipVisionConfig(
            hidden_size=shape.width,
            intermediate_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            image_size=shape.picture,
            patch_size=shape.patch,
            vision_use_head=False,
        )
        self.siglip = SiglipVisionModel(config)
        self.merge = nn.Linear(4 * shape.width, shape.output)
        self.project = nn.Linear(shape.output, shape.output)
        self.newline = nn.Parameter(torch.empty(1, shape.output))
        self.separator = nn.Parameter(torch.empty(1, shape.output))

    def forward(self, tiles: Any) -> Any:
        """`[tiles, 3, picture, picture]` to `[tiles, tokens, output]`."""
        side, width = self.shape.side, self.shape.width
        half = (side + 1) // 2
        features = self.siglip(pixel_values=tiles).last_hidden_state
        grid = F.pad(features.reshape(-1, side, side, width), (0, 0, 0, 2 * half - side, 0, 2 * half - side))
        merged = grid.reshape(-1, half, 2, half, 2, width).transpose(2, 3).reshape(-1, half * half, 4 * width)
        return self.project(F.gelu(self.merge(merged)))

    def arrange(self, tokens: Any, columns: int, rows: int) -> Any:
        """The tokens of a picture's views, as in a prompt: the global view, a separator, the others as one."""
        half, width = (self.shape.side + 1) // 2, self.shape.output
        whole = tokens[0].reshape(half, half, width)
        parts = tokens[1:].reshape(rows, columns, half, half, width).transpose(1, 2)
        lines = [self._lines(whole), self.separator, self._lines(parts.reshape(rows * half, columns * half, width))]
        return torch.cat(lines)

    def _lines(self, grid: Any) -> Any:
        """Each row of a grid, and a token that ends it."""
        ends = self.newline.expand(grid.shape[0], 1, -1)
        return torch.cat([grid, ends], dim=1).reshape(-1, grid.shape[-1])


class Decoder(nn.Module):
    """A language model whose attention has a key and a value for each head."""

    def __init__(self, shape: shapes.Language) -> None:
        """Make the modules."""
        super().__init__()
        config = DeepseekOcr2TextConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.hidden,
            moe_intermediate_size=shape.expert_hidden,
            n_routed_experts=shape.experts,
            n_shared_experts=shape.experts_shared,
            num_experts_per_tok=shape.experts_used,
            max_position_embeddings=shape.positions,
            mlp_layer_types=["dense"] * shape.dense + ["sparse"] * (shape.layers - shape.dense),
        )
        self.body = DeepseekOcr2TextModel(config)
        self.head = nn.Linear(shape.width, shape.vocabulary, bias=False)

    def cache(self) -> Any:
        """An empty cache."""
        return DynamicCache(config=self.body.config)

    def embed(self, ids: Any) -> Any:
        """The embeddings of ids."""
        return self.body.embed_tokens(ids)

    def forward(self, embeddings: Any, cache: Any) -> Any:
        """The logits after the last of the rows that are taken in."""
        states = self.body(inputs_embeds=embeddings[None], cache=cache, use_cache=True).last_hidden_state
        return self.head(states[0, -1])


def export_tower(shape: shapes.Tower, out: Path) -> None:
    """Write the tower and projector, in f32, as an ONNX graph that takes any number of tiles."""
    tower = _made(lambda: Tower(shape), torch.float32)
    example = torch.randn(2, 3, shape.picture, shape.picture)
    torch.onnx.export(
        tower,
        (example,),
        str(out),
        input_names=["tiles"],
        output_names=["tokens"],
        dynamic_shapes={"tiles": {0: torch.export.Dim("count", min=1, max=64)}},
        dynamo=True,
    )


def _made(make: Any, dtype: Any) -> Any:
    """A module of random weights, whose variance of one over the number of inputs keeps activations at their size."""
    torch.set_default_dtype(dtype)
    with no_init_weights():
        module = make().eval().requires_grad_(False)
    torch.set_default_dtype(torch.float32)
    drawn = torch.empty(_DRAWN).uniform_(-math.sqrt(3), math.sqrt(3))
    for name, parameter in module.named_parameters():
        flat = parameter.view(-1)
        if parameter.ndim == 1:
            flat.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
            continue
        scaled = (drawn * _inputs(name, parameter.shape) ** -0.5).to(parameter.dtype)
        for start in range(0, len(flat), _DRAWN):
            flat[start : start + _DRAWN] = scaled[: len(flat) - start]
    return module


def _inputs(name: str, shape: Any) -> int:
    """How many inputs a matrix sums over: one of an embedding, one expert's of all experts' in a tensor."""
    if "embed" in name and len(shape) == 2:
        return 1
    return int(shape[-1]) if len(shape) == 3 else math.prod(shape[1:])


def _seconds(act: Any) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
