"""The whole model: views and tokens in, hidden states out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .bands import Bands
from .config import NanoConfig
from .language import LanguageModel, LatentAttention, Router
from .packing import Packing
from .vision import Projector, VisionTower


class Nano(nn.Module):
    """DeepSeek-VL2 in small, parameters named as in its checkpoints."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.config = config
        hidden = config.language.hidden_size
        self.vision = VisionTower(config.vision)
        self.projector = Projector(config)
        self.image_newline = nn.Parameter(0.02 * torch.randn(hidden))
        self.view_seperator = nn.Parameter(0.02 * torch.randn(hidden))
        self.language = LanguageModel(config.language)

    def visual_tokens(self, features: Tensor) -> Tensor:
        """Rows that slots point to, [.., hidden]: all views' side^2 tokens each, the newline, the separator."""
        tokens = self.projector(features).flatten(0, 1)
        extra = torch.stack((self.image_newline, self.view_seperator)).to(tokens.dtype)
        return torch.cat((tokens, extra))

    def embed(self, ids: Tensor, visual: Tensor, slots: Tensor) -> Tensor:
        """Embeddings [tokens, hidden] of `ids` [tokens], and row `slots` of `visual` where that is not negative."""
        table = self.language.model.embed_tokens.weight.to(visual.dtype)
        both = torch.cat((table, visual))
        return both.index_select(0, torch.where(slots >= 0, slots + len(table), ids))

    def forward(
        self, visual: Tensor, ids: Tensor, slots: Tensor, positions: Tensor, packing: Packing | Bands
    ) -> Tensor:
        """Hidden states [tokens, hidden] after the last norm."""
        return self.language.model(self.embed(ids, visual, slots), positions, packing)

    def routers(self) -> list[Router]:
        """All routers, first layer first."""
        return [module for module in self.modules() if isinstance(module, Router)]

    def attentions(self) -> list[LatentAttention]:
        """The decoder's attentions, first layer first."""
        return [module for module in self.modules() if isinstance(module, LatentAttention)]


def slots_of_image(first_view: int, columns: int, rows: int, side: int, views_total: int) -> list[int]:
    """The rows of `Nano.visual_tokens` in the order of an image's tokens: global view, separator, local views.

    `first_view` is the number of the image's global view among all `views_total` views; its local views follow, unless
    the grid is 1x1 and the global view is the local one too. Every row of tokens ends with a newline.
    """
    area = side * side
    newline, separator = views_total * area, views_total * area + 1
    slots: list[int] = []
    for row in range(side):
        slots += range(first_view * area + row * side, first_view * area + (row + 1) * side)
        slots.append(newline)
    slots.append(separator)
    local = first_view if columns * rows == 1 else first_view + 1
    for tile_row in range(rows):
        for row in range(side):
            for column in range(columns):
                start = (local + tile_row * columns + column) * area + row * side
                slots += range(start, start + side)
            slots.append(newline)
    return slots
