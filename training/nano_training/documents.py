"""Documents of all kinds."""

from __future__ import annotations

from .receipts import receipt
from .tables import table

__all__ = ["receipt", "table"]
