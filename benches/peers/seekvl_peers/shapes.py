"""The shapes that are measured, read from the configurations that seekvl's own random checkpoints are made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parents[2] / "configs"

#: Models by name: the configuration, and to how many layers the language model is cut (None: all). T is VL2-Tiny, whose
#: language model is DeepSeek-OCR's, too; S6 is VL2-Small, whose language model is DeepSeek-V2-Lite's, cut from 27 to 6
#: layers so that its files stay small. A layer costs the same in both; the output layer weighs more in the cut one.
MODELS: dict[str, tuple[str, int | None]] = {
    "T": ("deepseek-vl2-tiny.json", None),
    "S6": ("deepseek-vl2-small.json", 6),
}


@dataclass(frozen=True)
class Latent:
    """The sizes of latent attention: of the latent, and of each head's parts."""

    rank: int
    nope: int
    rope: int
    value: int


@dataclass(frozen=True)
class Language:
    """A language model: layers of attention and of experts, the first `dense` of them without experts."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    latent: Latent | None
    dense: int
    hidden: int
    experts: int
    experts_used: int
    experts_shared: int
    expert_hidden: int
    positions: int

    def cache_bytes(self, tokens: int) -> int:
        """What the keys and values of so many tokens take in 16 bits."""
        token = 2 * self.width if self.latent is None else self.latent.rank + self.latent.rope
        return 2 * token * self.layers * tokens


@dataclass(frozen=True)
class Tower:
    """The vision tower and its projector, which merges two by two patches."""

    picture: int
    patch: int
    width: int
    layers: int
    heads: int
    hidden: int
    output: int

    @property
    def side(self) -> int:
        """Patches along a side of a tile."""
        return self.picture // self.patch


def config(model: str) -> dict[str, Any]:
    """The `config.json` of a model."""
    name, layers = MODELS[model]
    read: dict[str, Any] = json.loads((CONFIGS / name).read_text(encoding="utf-8"))
    if layers is not None:
        read["language_config"]["num_hidden_layers"] = layers
    return read


@cache
def language(model: str) -> Language:
    """The language model of a configuration; what it leaves out has the original's defaults."""
    c = config(model)["language_config"]
    latent = Latent(
        rank=c.get("kv_lora_rank", 512),
        nope=c.get("qk_nope_head_dim", 128),
        rope=c.get("qk_rope_head_dim", 64),
        value=c.get("v_head_dim", 128),
    )
    return Language(
        vocabulary=c["vocab_size"],
        width=c["hidden_size"],
        layers=c["num_hidden_layers"],
        heads=c["num_attention_heads"],
        latent=latent if c.get("use_mla", True) else None,
        dense=c["first_k_dense_replace"],
        hidden=c["intermediate_size"],
        experts=c["n_routed_experts"],
        experts_used=c["num_experts_per_tok"],
        experts_shared=c["n_shared_experts"],
        expert_hidden=c["moe_intermediate_size"],
        positions=c["max_position_embeddings"],
    )


@cache
def tower(model: str) -> Tower:
    """The vision tower of a configuration: SigLIP-SO400M, whose pictures and heads the file does not tell."""
    c = config(model)
    v = c["vision_config"]
    return Tower(
        picture=384,
        patch=v["patch_size"],
        width=v["width"],
        layers=v["layers"],
        heads=16,
        hidden=int(v["width"] * v["mlp_ratio"]),
        output=c["projector_config"]["n_embed"],
    )
