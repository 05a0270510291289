"""Documents of all kinds."""

from __future__ import annotations

from .forms import form
from .receipts import receipt
from .screens import screen
from .tables import table

__all__ = ["form", "receipt", "screen", "table"]
