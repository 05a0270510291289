"""Trains nano: `python -m nano_training.train --out DIR`; again with the same DIR to go on.

Several processes on one machine share the work when started by `torchrun`; each computes on `--threads` threads.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, distributed, nn
from torch.utils.data import DataLoader

from .batch import Batch
from .codes import CodeBook
from .export import read_checkpoint
from .feed import POOL, Cut, Feed, Samples
from .log import Log
from .losses import GUIDES, AnswerLoss, answer_loss, guide_loss, held_loss, patch_loss
from .mixture import Mixture
from .modeling.config import NanoConfig
from .modeling.nano import Nano
from .pieces import read_pieces, write_pieces

LOG_STEPS = 25
"""Steps between lines of the log."""

KEPT = 160
"""Batches that are kept to be used again."""

Part = Literal["tower", "decoder", "answers", "all"]
"""What learns: the tower to give the codes of patches, the decoder (with the projector) to answer from exact codes or
from the features of the tower as it is, or all together."""


@dataclass(frozen=True)
class Settings:
    """How to train."""

    out: Path
    checkpoint: Path | None
    tower: Path | None
    cut: Cut
    uses: int
    minutes: float
    decay_minutes: float
    rate: float
    warmup: int
    part: Part
    patches: float
    guides: float
    hold: float
    threads: int
    workers: int
    device: torch.device
    dtype: torch.dtype
    save_minutes: float


class Clock:
    """How long training has gone on, without the time for which its processes were stopped."""

    LONGEST_STEP = 20.0
    """Seconds that are counted for one step at most."""

    def __init__(self) -> None:
        self.last, self.seconds = time.monotonic(), 0.0

    def minutes(self) -> float:
        """Since it was made; asked once a step."""
        now = time.monotonic()
        self.seconds += min(now - self.last, self.LONGEST_STEP)
        self.last = now
        return self.seconds / 60


class Trainer:
    """The model, its optimisers and where they stand."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.config = settings, NanoConfig()
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        torch.manual_seed(1)
        self.model = Nano(self.config).to(settings.device)
        for guide in GUIDES:
            self.model.attentions()[guide.layer].keep = settings.guides > 0
        self.model.requires_grad_(settings.part != "tower")
        self.model.vision.requires_grad_(settings.part in ("tower", "all"))
        self.book = CodeBook(self.config).to(settings.device)
        self.before = self.tower_before() if settings.hold > 0 else None
        matrices, others = split_parameters(self.model)
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=settings.rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=settings.rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        ]
        self.parameters = [*matrices, *others]
        self.step, self.seen, self.next_seed, self.trained_seconds = 0, 0, 0, 0.0
        self.asked_to_stop = False
        signal.signal(signal.SIGTERM, self.stop)
        if (settings.out / "state.000").exists():
            self.load()
        else:
            self.begin()

    def begin(self) -> None:
        """Takes the weights that training begins with."""
        if self.settings.checkpoint is not None:
            self.model.load_state_dict(read_checkpoint(self.settings.checkpoint))
        if self.settings.tower is not None:
            tensors = read_checkpoint(self.settings.tower)
            tower = {name: value for name, value in tensors.items() if name.startswith("vision.")}
            self.model.load_state_dict(tower, strict=False)

    def tower_before(self) -> nn.Module:
        """The tower of the checkpoint that training began with, as it was."""
        assert self.settings.checkpoint is not None
        model = Nano(self.config)
        model.load_state_dict(read_checkpoint(self.settings.checkpoint))
        return model.vision.to(self.settings.device).requires_grad_(False)

    def load(self) -> None:
        """Goes on from the state in the output folder."""
        state = torch.load(read_pieces(self.settings.out / "state"), map_location=self.settings.device)
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.seen, self.next_seed = state["step"], state["seen"], state["next_seed"]
        self.trained_seconds = state["trained_seconds"]

    def save(self, seconds: float) -> None:
        """Writes the state; the next run takes seeds that this one has not used."""
        state = {
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step,
            "seen": self.seen,
            "next_seed": self.next_seed + 4 * self.seen + 100 * POOL * self.world * max(1, self.settings.workers),
            "trained_seconds": self.trained_seconds + seconds,
        }
        write_pieces(state, self.settings.out / "state")

    def update(self, batch: Batch, scale: float) -> tuple[dict[str, Tensor], AnswerLoss | None]:
        """One step; figures to log, and how the answers did."""
        part, dtype = self.settings.part, self.settings.dtype
        figures: dict[str, Tensor] = {}
        if part == "decoder":
            features = self.book.features(batch).to(dtype)
        else:
            pixels = (batch.pixels.permute(0, 3, 1, 2).to(dtype) / 127.5 - 1).contiguous()
            features = self.model.vision(pixels)
        loss = torch.zeros((), device=features.device)
        if part in ("tower", "all"):
            loss, figures = patch_loss(self.book, features, batch)
            figures["patches"] = loss.detach()
            loss = loss * self.settings.patches
            if self.before is not None:
                held = held_loss(self.book, features, self.before(pixels), batch)
                figures["held"] = held.detach()
                loss = loss + self.settings.hold * held
        answers = None
        if part != "tower":
            answers = answer_loss(self.model, features, batch)
            loss = loss + answers.value
            answers.value = answers.value.detach()
            figures["answers"] = answers.value
            if self.settings.guides > 0:
                missed, shares = guide_loss(self.model, batch)
                figures |= {"guides": missed.detach(), **shares}
                loss = loss + self.settings.guides * missed
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.share_gradients()
        figures["norm"] = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.settings.rate * scale
            optimiser.step()
        for router in self.model.routers():
            if self.world > 1:
                distributed.all_reduce(router.load)
            router.balance(0.002 * scale)
        return figures, answers

    def share_gradients(self) -> None:
        """The mean of all processes' gradients; what had none in this one counts as zero."""
        if self.world == 1:
            return
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in self.parameters]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.world
        parts = flat.split([parameter.numel() for parameter in self.parameters])
        for parameter, part in zip(self.parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def scale(self, minutes: float) -> float:
        """The share of the full rate: rises over the first steps, and falls to zero over the last minutes."""
        left = self.settings.minutes - minutes
        falling = min(1.0, max(0.02, left / self.settings.decay_minutes)) if self.settings.decay_minutes > 0 else 1.0
        return min(1.0, (self.step + 1) / self.settings.warmup) * falling

    def run(self) -> None:
        """Trains until the time is over."""
        settings = self.settings
        start = self.next_seed + self.rank
        data = Samples(settings.cut, self.config, start, self.world, settings.threads)
        loader = DataLoader(
            data, batch_size=None, num_workers=settings.workers, pin_memory=settings.device.type == "cuda"
        )
        feed = Feed(loader, settings.device, settings.uses, KEPT)
        log = Log(settings.out / "log.jsonl" if self.rank == 0 else None)
        clock = Clock()
        saved = 0.0
        for batch in feed:
            minutes = clock.minutes()
            if self.all_agree(minutes > settings.minutes or self.asked_to_stop):
                break
            figures, answers = self.update(batch, self.scale(minutes))
            self.step += 1
            self.seen += batch.samples * self.world
            log.add(figures, answers, batch.tasks)
            if self.step % LOG_STEPS == 0:
                trained = self.trained_seconds / 60 + minutes
                log.write({"step": self.step, "seen": self.seen, "again": feed.again, "minutes": trained})
            if self.rank == 0 and minutes - saved > settings.save_minutes:
                saved = minutes
                self.save(60 * minutes)
        if self.rank == 0:
            self.save(60 * clock.minutes())

    def stop(self, *_: object) -> None:
        """Ends the training after this step, with its state saved."""
        self.asked_to_stop = True

    def all_agree(self, stop: bool) -> bool:
        """Whether any process wants to stop."""
        if self.world == 1:
            return stop
        votes = torch.tensor([float(stop)])
        distributed.all_reduce(votes)
        return votes.item() > 0


APART = ("embed", "lm_head", "gate.weight", ".experts.")
"""Parts of the names of matrices that Muon does not train."""


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """What learns: matrices inside the network, and all else: embeddings, the output layer, routers, norms, biases.

    Routed experts count as all else: many and small, they would cost Muon more time than it saves.
    """
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        inside = parameter.ndim == 2 and not any(part in name for part in APART)
        (matrices if inside else others).append(parameter)
    return matrices, others


def arguments() -> Settings:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the state and the log")
    parser.add_argument("--from", type=Path, dest="checkpoint", help="exported checkpoint to begin with")
    parser.add_argument("--tower-from", type=Path, dest="tower", help="exported checkpoint to take the tower of")
    parser.add_argument("--part", choices=get_args(Part), default="all", help="what learns (see `Part`)")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json")
    parser.add_argument("--mixture", default="", help="weights of the kinds of samples: scene=2,line=1")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--decay-minutes", type=float, default=0, help="the rate falls to zero over the last minutes")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--warmup", type=int, default=200, help="steps")
    parser.add_argument("--batch-tokens", type=int, default=6000)
    parser.add_argument("--batch-views", type=int, default=48)
    parser.add_argument("--most-tokens", type=int, default=500, help="of one question")
    parser.add_argument("--most-views", type=int, default=64, help="samples with more are left out")
    parser.add_argument("--questions", type=int, default=10, help="most of one sample")
    parser.add_argument("--uses", type=int, default=1, help="most steps that learn from the same batch (see `Feed`)")
    parser.add_argument("--patches", type=float, default=0.3, help="weight of the patch targets")
    parser.add_argument("--guides", type=float, default=0.5, help="weight of where heads look in reading")
    parser.add_argument("--hold", type=float, default=0, help="weight of how far the tower's features move (`--from`)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that generate")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16", help="of the activations")
    parser.add_argument("--save-minutes", type=float, default=5)
    given = parser.parse_args()
    return Settings(
        out=given.out,
        checkpoint=given.checkpoint,
        tower=given.tower,
        cut=Cut(
            tokenizer=given.tokenizer,
            mixture=Mixture.parse(given.mixture),
            batch_tokens=given.batch_tokens,
            batch_views=given.batch_views,
            most_tokens=given.most_tokens,
            most_views=given.most_views,
            questions=given.questions,
            banded=not given.device.startswith("cpu"),
        ),
        uses=given.uses,
        minutes=given.minutes,
        decay_minutes=given.decay_minutes,
        rate=given.rate,
        warmup=given.warmup,
        part=given.part,
        patches=given.patches,
        guides=given.guides,
        hold=given.hold,
        threads=given.threads,
        workers=given.workers,
        device=torch.device(given.device),
        dtype=getattr(torch, given.dtype),
        save_minutes=given.save_minutes,
    )


def main() -> None:
    """Runs the command."""
    settings = arguments()
    settings.out.mkdir(parents=True, exist_ok=True)
    torch.set_float32_matmul_precision("high")
    # It plans anew for each shape, and hardly any comes twice.
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.set_num_threads(settings.threads)
    if "RANK" in os.environ:
        distributed.init_process_group("gloo")
    Trainer(settings).run()


if __name__ == "__main__":
    main()
