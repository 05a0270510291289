"""Writes what this model computes at every stage, for `seekvl doctor` to compare: `python -m nano_training.reference`.

Layout and names are those of `tests/reference/README.md`; of long tensors the beginning is kept. All is float32, with
the weights rounded as they are exported.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from .batch import encode, encode_question
from .export import read_checkpoint
from .modeling.config import NanoConfig
from .modeling.language import Moe, Router
from .modeling.nano import Nano, slots_of_image
from .modeling.packing import pack
from .sample import Picture, Question, Sample
from .tokenizer import ASSISTANT, USER, NanoTokenizer

NEW_TOKENS = 48
KEPT_TOKENS = 48
KEPT_LOGITS = 8


class Recorder:
    """Gathers the tensors of one request while the model runs."""

    def __init__(self, model: Nano) -> None:
        self.tensors: dict[str, Tensor] = {}
        hooks = [
            *((f"vision_block.{i}", block) for i, block in enumerate(model.vision.blocks)),
            *((f"hidden.{i}", layer) for i, layer in enumerate(model.language.model.layers)),
            ("hidden.norm", model.language.model.norm),
            ("vision", model.vision),
            ("projector", model.projector),
        ]
        self.handles = [module.register_forward_hook(self._keep(name)) for name, module in hooks]
        for i, layer in enumerate(model.language.model.layers):
            if isinstance(layer.mlp, Moe):
                self.handles.append(layer.mlp.gate.register_forward_hook(self._keep_routing(i)))

    def _keep(self, name: str) -> Any:
        def hook(_module: object, _inputs: object, output: Tensor) -> None:
            first = output if output.ndim == 2 else output[0]
            self.tensors.setdefault(name, first[None, :KEPT_TOKENS].clone())

        return hook

    def _keep_routing(self, layer: int) -> Any:
        def hook(_module: Router, _inputs: object, output: tuple[Tensor, Tensor]) -> None:
            ids, order = output[0].sort(-1)
            self.tensors.setdefault(f"router.{layer}.ids", ids[None].clone())
            self.tensors.setdefault(f"router.{layer}.weights", output[1].gather(-1, order)[None].contiguous())

        return hook

    def close(self) -> None:
        """Detaches from the model."""
        for handle in self.handles:
            handle.remove()


@torch.no_grad()
def request(
    model: Nano, tokenizer: NanoTokenizer, pictures: list[Path], question: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The entry of a question in `golden.json`, and its tensors."""
    sample = Sample([Picture(Image.open(path).convert("RGB")) for path in pictures], [Question("", question, "")])
    config = model.config
    encoded = encode(sample, tokenizer, config, most_tokens=4096)
    ids = encoded.ids + encode_question(sample.questions[0], tokenizer).prompt
    slots, first, counts = [-1] * len(ids), 0, []
    total = encoded.views_count
    places = iter([i for i, token in enumerate(ids) if token == tokenizer.image])
    for view in encoded.views:
        pointers = slots_of_image(first, view.columns, view.rows, config.side, total)
        counts.append(len(pointers))
        for pointer in pointers:
            slots[next(places)] = pointer
        first += len(view.pixels)
    # The original encodes a 1x1 grid twice, as its global and as its local view.
    seen = [
        pixels
        for view in encoded.views
        for pixels in ([view.pixels[0]] * 2 if len(view.pixels) == 1 else list(view.pixels))
    ]
    recorder = Recorder(model)
    pixels = torch.cat([torch.from_numpy(view.pixels.copy()) for view in encoded.views])
    visual = model.visual_tokens(model.vision(((pixels.float() / 255 - 0.5) / 0.5).permute(0, 3, 1, 2).contiguous()))
    hidden = run(model, visual, ids, slots)
    recorder.close()
    tensors = recorder.tensors
    tensors["inputs_embeds"] = model.embed(torch.tensor(ids), visual, torch.tensor(slots))[None, :KEPT_TOKENS]
    tensors["tail_logits"] = model.language.lm_head(hidden[-KEPT_LOGITS:])[None]
    tensors["input_ids"] = torch.tensor([ids])
    tensors["attention_mask"] = torch.ones(1, len(ids), dtype=torch.bool)
    tensors["images_spatial_crop"] = torch.tensor([[[view.columns, view.rows] for view in encoded.views]])
    answer = greedy(model, tokenizer, visual, ids, slots)
    images = [f"images/{path.name}" for path in pictures]
    entry = {
        "messages": [
            {"role": USER, "content": "<image>\n" * len(pictures) + question, "images": images},
            {"role": ASSISTANT, "content": ""},
        ],
        "num_image_tokens": [counts],
        "tile_sha256": [hashlib.sha256(view.tobytes()).hexdigest() for view in seen],
        "greedy_ids": [answer],
        "text": [tokenizer.decode(answer)],
        "text_skip_special": [tokenizer.inner.decode(answer, skip_special_tokens=True)],
        "incremental": {"chunk_size": 7},
    }
    return entry, tensors


def run(model: Nano, visual: Tensor, ids: list[int], slots: list[int]) -> Tensor:
    """Hidden states [tokens, hidden] of one sequence."""
    packing = pack([len(ids)], [])
    return model(visual, torch.tensor(ids), torch.tensor(slots), torch.arange(len(ids)), packing)


def greedy(model: Nano, tokenizer: NanoTokenizer, visual: Tensor, ids: list[int], slots: list[int]) -> list[int]:
    """The likeliest tokens up to the end of the sentence, that included."""
    answer: list[int] = []
    while len(answer) < NEW_TOKENS and tokenizer.eos not in answer:
        hidden = run(model, visual, ids + answer, slots + [-1] * len(answer))
        answer.append(int(model.language.lm_head(hidden[-1]).argmax()))
    return answer


def load_exported(folder: Path) -> Nano:
    """The model of an exported checkpoint, in float32."""
    model = Nano(NanoConfig())
    model.load_state_dict(read_checkpoint(folder))
    return model.eval()


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="exported checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder beside `images/`, which holds the pictures")
    parser.add_argument("asked", nargs="+", help="name=picture[,picture]=question")
    given = parser.parse_args()
    model, tokenizer = load_exported(given.model), NanoTokenizer(given.model / "tokenizer.json")
    requests: dict[str, Any] = {}
    tensors: dict[str, Tensor] = {}
    for asked in given.asked:
        name, pictures, question = asked.split("=", 2)
        paths = [given.out.parent / "images" / picture for picture in pictures.split(",")]
        requests[name], of_request = request(model, tokenizer, paths, question)
        tensors |= {f"{name}.{tensor}": value.contiguous() for tensor, value in of_request.items()}
    given.out.mkdir(parents=True, exist_ok=True)
    golden = {"model": "nano", "new_tokens": NEW_TOKENS, "requests": requests, "tokenizer_cases": cases(tokenizer)}
    (given.out / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    save_file(tensors, given.out / "golden.safetensors")


def cases(tokenizer: NanoTokenizer) -> list[dict[str, Any]]:
    """Texts, their ids, and what these decode to."""
    texts = [
        "What is the total?",
        "  two spaces\n\nand lines\t",
        "<|ref|>the red star<|/ref|>.",
        "12,345.67 é 你好 😀",
        "",
    ]
    found = []
    for text in texts:
        ids = tokenizer.encode(text)
        skipped = tokenizer.inner.decode(ids, skip_special_tokens=True)
        found.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids), "decoded_skip_special": skipped})
    return found


if __name__ == "__main__":
    main()
