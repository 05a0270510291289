"""Writes the trained model in the Hugging Face layout of DeepSeek-VL2: `python -m nano_training.export`."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .modeling.config import NanoConfig
from .modeling.nano import Nano
from .pieces import read_pieces
from .tiling import CANDIDATES
from .tokenizer import BOS, EOS, IMAGE, PAD, SPECIAL, NanoTokenizer

KEPT_EXACT = "e_score_correction_bias"
"""Stays float32: a choice hangs on it."""


def read_checkpoint(folder: Path) -> dict[str, Tensor]:
    """The tensors of an exported checkpoint, in float32."""
    return {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}


def load_model(state: Path) -> Nano:
    """The model of a training state (see `train.py`)."""
    model = Nano(NanoConfig())
    model.load_state_dict(torch.load(read_pieces(state / "state"), map_location="cpu")["model"])
    return model.eval()


def model_config(config: NanoConfig, tokenizer: NanoTokenizer) -> dict[str, Any]:
    """`config.json`."""
    vision, language = config.vision, config.language
    return {
        "architectures": ["DeepseekVLV2ForCausalLM"],
        "model_type": "deepseek_vl_v2",
        "torch_dtype": "bfloat16",
        "tile_tag": "2D",
        "global_view_pos": "head",
        "candidate_resolutions": candidates(),
        "vision_config": {
            "model_type": "vision",
            "model_name": "siglip_so400m_patch14_384",
            "image_size": vision.image_size,
            "patch_size": vision.patch_size,
            "width": vision.width,
            "layers": vision.layers,
            "heads": vision.heads,
            "mlp_ratio": vision.mlp_ratio,
        },
        "projector_config": {
            "model_type": "mlp_projector",
            "projector_type": "downsample_mlp_gelu",
            "input_dim": vision.width,
            "n_embed": language.hidden_size,
            "depth": 2,
            "mlp_ratio": 1,
            "downsample_ratio": config.downsample_ratio,
        },
        "language_config": {
            "architectures": ["DeepseekV2ForCausalLM"],
            "bos_token_id": tokenizer.bos,
            "eos_token_id": tokenizer.eos,
            "vocab_size": language.vocab_size,
            "hidden_size": language.hidden_size,
            "intermediate_size": language.intermediate_size,
            "moe_intermediate_size": language.moe_intermediate_size,
            "num_hidden_layers": language.num_hidden_layers,
            "num_attention_heads": language.num_attention_heads,
            "num_key_value_heads": language.num_attention_heads,
            "n_shared_experts": language.n_shared_experts,
            "n_routed_experts": language.n_routed_experts,
            "num_experts_per_tok": language.num_experts_per_tok,
            "routed_scaling_factor": language.routed_scaling_factor,
            "first_k_dense_replace": language.first_k_dense_replace,
            "topk_method": "noaux_tc",
            "scoring_func": "sigmoid",
            "norm_topk_prob": True,
            "n_group": 1,
            "topk_group": 1,
            "use_mla": True,
            "q_lora_rank": None,
            "kv_lora_rank": language.kv_lora_rank,
            "qk_nope_head_dim": language.qk_nope_head_dim,
            "qk_rope_head_dim": language.qk_rope_head_dim,
            "v_head_dim": language.v_head_dim,
            "rope_theta": language.rope_theta,
            "rms_norm_eps": language.rms_norm_eps,
            "max_position_embeddings": language.max_position_embeddings,
            "lm_head": True,
            "torch_dtype": "bfloat16",
        },
    }


def candidates() -> list[list[int]]:
    """The resolutions as the configuration files list them."""
    return [list(size) for size in CANDIDATES]


def processor_config(config: NanoConfig) -> dict[str, Any]:
    """`processor_config.json`."""
    return {
        "processor_class": "DeepseekVLV2Processor",
        "add_special_token": False,
        "candidate_resolutions": candidates(),
        "downsample_ratio": config.downsample_ratio,
        "ignore_id": -100,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "image_token": IMAGE,
        "mask_prompt": False,
        "normalize": True,
        "pad_token": PAD,
        "patch_size": config.vision.patch_size,
        "sft_format": "deepseek",
    }


def tokenizer_config(tokenizer: NanoTokenizer) -> dict[str, Any]:
    """`tokenizer_config.json`."""
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    added = {str(tokenizer.inner.token_to_id(token)): {"content": token, **plain} for token in SPECIAL}
    return {
        "tokenizer_class": "LlamaTokenizerFast",
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "added_tokens_decoder": added,
        "model_max_length": NanoConfig().language.max_position_embeddings,
    }


def export(model: Nano, tokenizer_path: Path, out: Path, dtype: torch.dtype) -> None:
    """Writes all files of the checkpoint into `out`; weights in `dtype`."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = NanoTokenizer(tokenizer_path)
    tensors = {
        name: value.float().contiguous() if KEPT_EXACT in name else value.to(dtype).contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(tokenizer_path, out / "tokenizer.json")
    special = {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD, "additional_special_tokens": list(SPECIAL[3:])}
    for name, content in (
        ("config.json", model_config(model.config, tokenizer)),
        ("processor_config.json", processor_config(model.config)),
        ("tokenizer_config.json", tokenizer_config(tokenizer)),
        ("special_tokens_map.json", special),
    ):
        (out / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder that training wrote")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    given = parser.parse_args()
    export(load_model(given.state), given.tokenizer, given.out, getattr(torch, given.dtype))


if __name__ == "__main__":
    main()
