"""The reference `r1-distill-llama-like`, as transformers computes it.

    pip install torch==2.15.0 transformers==5.24.0 safetensors==0.8.0
    python tests/interop/originals.py

Weights are random. The tokenizer and the template are those of `r1-distill-qwen-like`, as R1's distilled models share
theirs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

REFERENCES = Path(__file__).resolve().parents[1] / "reference"
NEIGHBOUR = REFERENCES / "r1-distill-qwen-like"
OUT = REFERENCES / "r1-distill-llama-like"
SEED = 2503
NEW_TOKENS = 24
#: Of a long prompt, as many logits.
LAST = 24


def model() -> transformers.LlamaForCausalLM:
    """A model with Llama 3's positions, of which some pairs are kept, one is mixed and the rest are stretched."""
    config = transformers.LlamaConfig(
        vocab_size=768,
        hidden_size=96,
        intermediate_size=176,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=False,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    )
    torch.manual_seed(SEED)
    built = transformers.LlamaForCausalLM(config).float().eval()
    with torch.no_grad():
        for name, weight in built.named_parameters():
            if weight.dim() == 1:
                weight.uniform_(0.5, 1.5)
            else:
                weight.normal_(std=1.0 if "embed" in name else 1.7 * weight.shape[1] ** -0.5)
    return built


@torch.no_grad()
def main() -> None:
    """Write the checkpoint, and what comes of its prompts."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(NEIGHBOUR / name, OUT)
    llama = model()
    llama.save_pretrained(OUT)
    (OUT / "generation_config.json").unlink()
    # The form in which the published checkpoints have it.
    config = json.loads((OUT / "config.json").read_text())
    scaling = config.pop("rope_parameters")
    config["rope_theta"] = scaling.pop("rope_theta")
    config["rope_scaling"] = scaling
    (OUT / "config.json").write_text(json.dumps(config, indent=1) + "\n")

    tokenizer = transformers.AutoTokenizer.from_pretrained(OUT)
    asked = json.loads((NEIGHBOUR / "golden.json").read_text())["requests"]
    requests, tensors = {}, {}
    for index, (name, request) in enumerate(asked.items()):
        # `add_bos_token`, which this version of transformers leaves to the tokenizer's own file.
        ids = [llama.config.bos_token_id, *tokenizer(request["text"], add_special_tokens=False)["input_ids"]]
        assert len(ids) == request["tokens"]
        ids = torch.tensor([ids])
        out = llama(ids, output_hidden_states=True)
        logits = out.logits if ids.shape[1] < 100 else out.logits[:, -LAST:]
        answer, margin = [], float("inf")
        while len(answer) < NEW_TOKENS and answer[-1:] != [llama.config.eos_token_id]:
            row = llama(torch.cat([ids, torch.tensor([answer], dtype=torch.long)], 1)).logits[0, -1]
            best, second = row.topk(2).values.tolist()
            margin = min(margin, best - second)
            answer.append(int(row.argmax()))
        tensors |= {
            f"{name}.input_ids": ids,
            f"{name}.logits": logits,
            f"{name}.greedy_ids": torch.tensor([answer]),
        }
        if index == 0:
            # The last of them is what the final norm makes of the layers before.
            states = dict(enumerate(out.hidden_states[1:-1])) | {"norm": out.hidden_states[-1]}
            tensors |= {f"{name}.hidden.{layer}": state for layer, state in states.items()}
        requests[name] = {
            "text": request["text"],
            "tokens": ids.shape[1],
            "greedy_ids": [answer],
            "decoded": tokenizer.decode(answer),
            "decoded_skip_special": tokenizer.decode(answer, skip_special_tokens=True),
            "min_margin": margin,
        }
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, OUT / "golden.safetensors")
    golden = {
        "seed": SEED,
        "new_tokens": NEW_TOKENS,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "class": type(llama).__name__,
        "requests": requests,
    }
    (OUT / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    for name, request in requests.items():
        print(f"{name}: {request['tokens']} tokens, smallest margin {request['min_margin']:.3g}")


if __name__ == "__main__":
    main()
