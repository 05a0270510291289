"""PyTorch, by the parts of transformers that have these shapes, with random weights.

The original's own code needs a transformers of its time. These parts compute the same: SigLIP's tower, and DeepSeek-OCR's and
DeepSeek-V2's decoders. Unlike the original they send only the last position of a prompt through the output layer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import DeepseekV2Config, DeepseekV2ForCausalLM, DynamicCache, SiglipVisionConfig, SiglipVisionModel
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
        if whole or Kind.PREFILL in kinds or Kind.DECODE in kinds:
            self.decoder = _made(lambda: Decoder(shapes.language(model)), torch.bfloat16)
        parts = [part for part in vars(self).values() if isinstance(part, nn.Module)]
        self.weights_bytes: int = sum(p.nbytes for part in parts for p in part.parameters())

    @torch.inference_mode()
    def measure(self, work: Work) -> float:
        """Seconds for the work, or for each token that is decoded."""
        if work.kind is Kind.VISION:
            side = shapes.tower(self.model).picture
            tiles = torch.randn(work.size, 3, side, side).to(torch.bfloat16)
            return _seconds(lambda: self.tower(tiles))
        if work.kind is Kind.END_TO_END:
            path = self.files.photograph(*PICTURE)
            return _seconds(lambda: self._answer(path))
        cache = self.decoder.cache()
        if work.kind is Kind.PREFILL:
            ids = self._random_ids(work.size)
            return _seconds(lambda: self.decoder(self.decoder.embed(ids), cache))
        if work.size:
            self.decoder(self.decoder.embed(self._random_ids(work.size)), cache)
        tokens = self._random_ids(DECODED)
        return _seconds(lambda: [self.decoder(self.decoder.embed(t[None]), cache) for t in tokens]) / DECODED

    def _answer(self, path: Path) -> None:
        """Look at a picture, take in a question, answer greedily."""
        views, (columns, rows) = pixels.views(path, self.model)
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
        """The tokens of a picture's views in the order of the prompt: the global view, a separator, the others as one."""
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
    """A language model of either kind of attention."""

    def __init__(self, shape: shapes.Language) -> None:
        """Make the modules."""
        super().__init__()
        common: dict[str, Any] = {
            "vocab_size": shape.vocabulary,
            "hidden_size": shape.width,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "intermediate_size": shape.hidden,
            "moe_intermediate_size": shape.expert_hidden,
            "n_routed_experts": shape.experts,
            "n_shared_experts": shape.experts_shared,
            "num_experts_per_tok": shape.experts_used,
            "max_position_embeddings": shape.positions,
        }
        if latent := shape.latent:
            sizes = {"kv_lora_rank": latent.rank, "v_head_dim": latent.value}
            sizes |= {"qk_nope_head_dim": latent.nope, "qk_rope_head_dim": latent.rope}
            config = DeepseekV2Config(**common, **sizes, q_lora_rank=None, first_k_dense_replace=shape.dense)
            causal = DeepseekV2ForCausalLM(config)
            self.body, self.head = causal.model, causal.lm_head
        else:
            kinds = ["dense"] * shape.dense + ["sparse"] * (shape.layers - shape.dense)
            self.body = DeepseekOcr2TextModel(DeepseekOcr2TextConfig(**common, mlp_layer_types=kinds))
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
    # Two gigabytes are a protocol buffer's limit; the weights stay below it.
    torch.onnx.export(
        tower,
        (example,),
        str(out),
        input_names=["tiles"],
        output_names=["tokens"],
        dynamic_shapes={"tiles": {0: torch.export.Dim("count", min=1, max=64)}},
        dynamo=True,
        external_data=False,
    )


def _made(make: Any, dtype: Any) -> Any:
    """A module with random weights of a variance of one over the number of inputs, so that activations keep their size."""
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
        fan_in = 1 if "embed" in name and parameter.ndim == 2 else math.prod(parameter.shape[-1:] if parameter.ndim == 3 else parameter.shape[1:])
        scaled = (drawn * fan_in**-0.5).to(parameter.dtype)
        for start in range(0, len(flat), _DRAWN):
            flat[start : start + _DRAWN] = scaled[: len(flat) - start]
    return module


def _seconds(act: Any) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
