"""numpy, for those who have it."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def numpy() -> Any:  # noqa: ANN401
    """The module, or an error that says how to get it."""
    try:
        import numpy
    except ImportError as error:
        raise ImportError("this needs numpy: pip install 'seekvl[numpy]'") from error
    module: ModuleType = numpy
    return module


def from_core(numbers: tuple[list[int], bytearray]) -> npt.NDArray[np.float32]:
    """An array over the memory that the Rust side has filled; writable, and not copied again."""
    shape, data = numbers
    array: npt.NDArray[np.float32] = numpy().frombuffer(data, dtype="float32").reshape(shape)
    return array
