"""GGUF files between seekvl, llama.cpp and the package gguf, which know nothing of each other.

    pip install gguf==0.19.0 llama-cpp-python==0.3.36 safetensors numpy
    python tests/interop/llama.py check target/release/seekvl    # llama.cpp reads what `seekvl quantize` writes
    python tests/interop/llama.py fixtures                       # the files here that `tests/interop.rs` reads

Either way what llama.cpp answers becomes a reference that `seekvl doctor` can be run on.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import subprocess
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import llama_cpp
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import ExpertGatingFuncType, GGUFReader, GGUFWriter, TokenType, quants
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
REFERENCES = HERE.parent / "reference"


def record(model: Path, texts: list[str], new_tokens: int, cases: Sequence[str] = ()) -> float:
    """Write what llama.cpp makes of texts beside a model: ids, the last position's logits, greedy tokens.

    Args:
        model: The GGUF file.
        texts: Prompts.
        new_tokens: The most tokens of an answer.
        cases: Further texts for the tokenizer alone.

    Returns:
        How far ahead of the next a token of an answer was at least, as a share of the largest logit.
    """
    kept = llama_cpp.GGML_TYPE_F32
    llama = llama_cpp.Llama(
        str(model), n_ctx=256, n_batch=256, n_threads=1, logits_all=True, type_k=kept, type_v=kept, verbose=False
    )

    def read(ids: list[int]) -> dict[str, str]:
        texts = (llama.detokenize(ids, special=special).decode(errors="replace") for special in (True, False))
        return dict(zip(("decoded", "decoded_skip_special"), texts, strict=True))

    requests, tensors, margin = {}, {}, np.inf
    for index, text in enumerate(texts):
        ids = llama.tokenize(text.encode(), add_bos=llama.metadata["tokenizer.ggml.add_bos_token"] == "true")
        llama.reset()
        llama.eval(ids)
        tensors[f"{index}.input_ids"] = np.array([ids])
        tensors[f"{index}.last_logits"] = llama.scores[llama.n_tokens - 1][None].astype(np.float32)
        answer: list[int] = []
        while len(answer) < new_tokens and llama.token_eos() not in answer:
            logits = llama.scores[llama.n_tokens - 1]
            second, first = np.sort(logits)[-2:]
            margin = min(margin, (first - second) / np.abs(logits).max())
            answer.append(int(np.argmax(logits)))
            llama.eval(answer[-1:])
        requests[str(index)] = {"text": text, "tokens": len(ids), "greedy_ids": [answer], **read(answer)}
    encoded = [(text, llama.tokenize(text.encode(), add_bos=False, special=True)) for text in cases]
    golden = {
        "new_tokens": new_tokens,
        "llama_cpp": llama_cpp.__version__,
        "requests": requests,
        "tokenizer_cases": [{"text": text, "ids": ids, **read(ids)} for text, ids in encoded],
    }
    (model.parent / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
    save_file(tensors, model.parent / "golden.safetensors")
    return float(margin)


def check(seekvl: Path) -> None:
    """Let llama.cpp and seekvl answer from what `seekvl quantize` writes, and print how far they are apart.

    In f32 they have to agree. Otherwise both round activations, each in its own way, which may tip tokens and experts.

    Args:
        seekvl: The program.
    """
    for reference in ("llm-like", "r1-distill-qwen-like", "v2-like", "v3-like"):
        requests = json.loads((REFERENCES / reference / "golden.json").read_text())["requests"]
        texts = [request["text"] for request in requests.values()]
        for kind in ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_k_m"):
            with tempfile.TemporaryDirectory() as scratch:
                model = Path(scratch) / "model.gguf"
                quantize = [seekvl, "quantize", checkpoint(reference, scratch), "--to", kind, "-o", model]
                subprocess.run(quantize, check=True, capture_output=True)
                record(model, texts, new_tokens=16)
                doctor = [seekvl, "doctor", "--reference", scratch, "--json"]
                done = subprocess.run(doctor, capture_output=True, text=True, check=False)
            (part,) = json.loads(done.stdout)["parts"]
            errors = {stage["stage"]: stage["error"] for stage in part["stages"]}
            print(reference, kind, *(f"{stage} {error:.1e}" for stage, error in errors.items()), sep="  ")
            assert errors["tokens"] == errors["text"] == 0, "the tokenizers disagree"
            assert errors["logits"] < 0.25, "the models disagree"
            assert kind != "f32" or done.returncode == 0, "the models disagree"


def checkpoint(reference: str, scratch: str) -> Path:
    """A reference's directory; without groups of experts where they are V2's, which llama.cpp scores as V3 does."""
    source = REFERENCES / reference
    config = json.loads((source / "config.json").read_text())
    if config.get("topk_method") != "group_limited_greedy":
        return source
    changed = Path(scratch) / "checkpoint"
    changed.mkdir()
    for file in source.iterdir():
        (changed / file.name).symlink_to(file)
    (changed / "config.json").unlink()
    (changed / "config.json").write_text(json.dumps({**config, "topk_method": "greedy", "n_group": 1, "topk_group": 1}))
    return changed


TEXTS = ["The cat sat on the mat, and 12345 + 67 is it?", "Ein Käse für 你好!\n\nthe end"]
CASES = [" a  b\n\n c", "don't WON'T 1234567 x=y;", "é vs e", "<|end|>the<|end|> the", "a \u1f7d \u2126 \u212a"]


def tokenizer(writer: GGUFWriter, pre: str, add_bos: bool) -> int:
    """Add a small byte-level tokenizer with the bytes that the texts need; returns the size of its vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in printable)
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + index) for index, byte in enumerate(others)}
    used = sorted({*"".join([*TEXTS, *CASES]).encode()})
    merges = [
        "t h",
        "th e",
        "Ġ the",
        "Ġ a",
        "a t",
        "i n",
        "Ġ 1",
        "1 2",
        "3 4",
        "12 34",
        "Ã ¤",
        "ä ½",
        "Ċ Ċ",
        "Ġ á",
        "Ġ â",
    ]
    tokens = [letters[byte] for byte in used] + ["".join(merge.split()) for merge in merges]
    specials = ["<|begin|>", "<|end|>"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens + specials)
    writer.add_token_types([TokenType.NORMAL] * len(tokens) + [TokenType.CONTROL] * 2)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(len(tokens))
    writer.add_eos_token_id(len(tokens) + 1)
    writer.add_add_bos_token(add_bos)
    return len(tokens) + 2


class Model:
    """A model of random weights."""

    def __init__(self, seed: int, arch: str, pre: str, hidden: int, layers: int, inner: int, types: list[Type]) -> None:
        self.writer = GGUFWriter(None, arch)
        self.types, self.rng, self.count = types, np.random.default_rng(seed), 0
        self.hidden, self.layers, self.inner = hidden, layers, inner
        self.vocab = tokenizer(self.writer, pre, add_bos=arch != "qwen2")
        self.writer.add_vocab_size(self.vocab)
        self.writer.add_context_length(256)
        self.writer.add_embedding_length(hidden)
        self.writer.add_block_count(layers)
        self.writer.add_feed_forward_length(inner)
        self.writer.add_layer_norm_rms_eps(1e-5)
        self.matrix("token_embd.weight", self.vocab, hidden)
        self.vector("output_norm.weight", hidden, 1.0)

    def vector(self, name: str, size: int, middle: float = 0.0) -> None:
        self.writer.add_tensor(name, (middle + self.rng.uniform(-0.5, 0.5, size)).astype(np.float32))

    def matrix(self, name: str, *shape: int, kind: Type | None = None) -> None:
        """A matrix, or several; each takes the next type whose blocks its rows are made of."""
        numbers = (self.rng.standard_normal(shape) * 2 / np.sqrt(shape[-1])).astype(np.float32)
        if kind is None:
            kind = self.types[self.count % len(self.types)]
            self.count += 1
        self.writer.add_tensor(name, quants.quantize(numbers, kind), raw_dtype=kind)

    def gated(self, prefix: str, suffix: str, inner: int, *count: int) -> None:
        for part, shape in (
            ("gate", (inner, self.hidden)),
            ("up", (inner, self.hidden)),
            ("down", (self.hidden, inner)),
        ):
            self.matrix(f"{prefix}ffn_{part}{suffix}.weight", *count, *shape)

    def norms(self, layer: int) -> None:
        self.vector(f"blk.{layer}.attn_norm.weight", self.hidden, 1.0)
        self.vector(f"blk.{layer}.ffn_norm.weight", self.hidden, 1.0)

    def save(self, path: Path) -> None:
        self.writer.write_header_to_file(path)
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def grouped(seed: int, arch: str, pre: str, hidden: int, head: int, inner: int, types: list[Type]) -> Model:
    """Two heads of queries and one of keys; Qwen2's have biases, and its output layer is its own. One layer."""
    model = Model(seed, arch, pre, hidden, 1, inner, types)
    writer = model.writer
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(10000.0)
    if arch == "qwen2":
        model.matrix("output.weight", model.vocab, hidden)
    model.norms(0)
    for part, rows in (("q", 2 * head), ("k", head), ("v", head)):
        model.matrix(f"blk.0.attn_{part}.weight", rows, hidden)
        if arch == "qwen2":
            model.vector(f"blk.0.attn_{part}.bias", rows)
    model.matrix("blk.0.attn_output.weight", hidden, 2 * head)
    model.gated("blk.0.", "", inner)
    return model


def latent(seed: int, types: list[Type]) -> Model:
    """As DeepSeek-V3: latent attention, one dense layer, then experts in groups that sigmoids choose."""
    heads, q_rank, kv_rank, nope, rope, value, experts, inner = 2, 32, 32, 32, 16, 32, 8, 32
    model = Model(seed, "deepseek2", "deepseek-v3", 32, 2, 32, types)
    writer, hidden = model.writer, model.hidden
    writer.add_head_count(heads)
    writer.add_head_count_kv(1)
    writer.add_q_lora_rank(q_rank)
    writer.add_kv_lora_rank(kv_rank)
    writer.add_key_length(kv_rank + rope)
    writer.add_value_length(kv_rank)
    writer.add_key_length_mla(nope + rope)
    writer.add_value_length_mla(value)
    writer.add_rope_dimension_count(rope)
    writer.add_rope_freq_base(10000.0)
    writer.add_leading_dense_block_count(1)
    writer.add_expert_count(experts)
    writer.add_expert_used_count(3)
    writer.add_expert_shared_count(1)
    writer.add_expert_feed_forward_length(inner)
    writer.add_expert_weights_scale(2.5)
    writer.add_expert_weights_norm(True)
    writer.add_expert_gating_func(ExpertGatingFuncType.SIGMOID)
    writer.add_expert_group_count(4)
    writer.add_expert_group_used_count(2)
    model.matrix("output.weight", model.vocab, hidden)
    for layer in range(2):
        block = f"blk.{layer}."
        model.norms(layer)
        model.matrix(f"{block}attn_q_a.weight", q_rank, hidden)
        model.vector(f"{block}attn_q_a_norm.weight", q_rank, 1.0)
        model.matrix(f"{block}attn_q_b.weight", heads * (nope + rope), q_rank)
        model.matrix(f"{block}attn_kv_a_mqa.weight", kv_rank + rope, hidden)
        model.vector(f"{block}attn_kv_a_norm.weight", kv_rank, 1.0)
        model.matrix(f"{block}attn_k_b.weight", heads, kv_rank, nope)
        model.matrix(f"{block}attn_v_b.weight", heads, value, kv_rank)
        model.matrix(f"{block}attn_output.weight", hidden, heads * value)
        if layer == 0:
            model.gated(block, "", model.inner)
            continue
        model.matrix(f"{block}ffn_gate_inp.weight", experts, hidden, kind=Type.F32)
        model.vector(f"{block}exp_probs_b.bias", experts)
        model.gated(block, "_exps", inner, experts)
        model.gated(block, "_shexp", inner)
    return model


def k_quantized(seed: int, path: Path) -> Model:
    """A model whose matrices have all K formats in turn, each as llama.cpp rounds it: gguf does not write those."""
    grouped(seed, "llama", "llama-bpe", 256, 16, 32, [Type.F32]).save(path)
    kinds = {"Q3_K": 11, "Q2_K": 10, "Q4_K": 14, "Q5_K": 16, "Q6_K": 18}
    rounded = []
    for name, ftype in kinds.items():
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype, params.pure, params.nthread = ftype, True, 1
        params.output_tensor_type = params.token_embedding_type = int(Type[name])
        out = path.with_suffix(f".{name}")
        assert llama_cpp.llama_model_quantize(str(path).encode(), str(out).encode(), ctypes.byref(params)) == 0
        rounded.append({tensor.name: tensor for tensor in GGUFReader(out).tensors})
        out.unlink()
    model = grouped(seed, "llama", "llama-bpe", 256, 16, 32, [Type.F32])
    (tensors,) = model.writer.tensors
    turns = itertools.cycle(rounded)
    for name, info in tensors.items():
        if len(info.shape) > 1:
            # Narrow matrices have other types, whatever is asked for.
            tensor = (next(turns) if info.shape[1] == 256 else rounded[0])[name]
            info.tensor, info.dtype, info.nbytes = tensor.data, tensor.tensor_type, tensor.data.nbytes
    return model


def fixtures() -> None:
    """Write the files that the ordinary tests read: of random models, those that are never near to another token."""
    legacy = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0]
    models = {
        "floats": lambda seed, _: grouped(seed, "llama", "deepseek-coder", 32, 16, 32, [Type.F16, Type.F32]),
        "llama": lambda seed, _: grouped(seed, "llama", "deepseek-llm", 32, 32, 32, [Type.BF16, Type.Q8_0]),
        "qwen2": lambda seed, _: grouped(seed, "qwen2", "qwen2", 64, 32, 64, legacy),
        "deepseek2": lambda seed, _: latent(seed, [Type.Q8_0, Type.Q5_0]),
        "k": k_quantized,
    }
    for name, make in models.items():
        path = HERE / name / "model.gguf"
        path.parent.mkdir(exist_ok=True)
        # llama.cpp does not compose characters, which Qwen's tokenizer does.
        cases = [case for case in CASES if name != "qwen2" or unicodedata.is_normalized("NFC", case)]
        for seed in itertools.count():
            make(seed, path).save(path)
            if record(path, TEXTS, 8, cases) > 0.04:
                break
        kinds = {tensor.tensor_type.name for tensor in GGUFReader(path).tensors}
        print(name, "seed", seed, sum(file.stat().st_size for file in path.parent.iterdir()), "bytes", kinds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fixtures")
    commands.add_parser("check").add_argument("seekvl", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "fixtures":
        fixtures()
    else:
        check(arguments.seekvl.resolve())
