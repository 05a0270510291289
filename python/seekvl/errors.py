"""What can go wrong. Everything that seekvl raises on its own account is an `Error`."""

from __future__ import annotations

__all__ = [
    "CancelledError",
    "CheckpointError",
    "ConversationError",
    "DownloadError",
    "Error",
    "ForkError",
    "GenerationError",
    "ImageError",
    "ModelError",
    "ModelNotFoundError",
    "OptionError",
    "PromptTooLongError",
]


class Error(Exception):
    """Every failure of seekvl.

    Attributes:
        causes: The messages of the failure and of what caused it, outermost first. The exception's own message is all
            of them on one line.
    """

    causes: tuple[str, ...]

    def __init__(self, message: str, causes: list[str] | tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.causes = tuple(causes) or (message,)

    def __reduce__(self) -> tuple[type[Error], tuple[str, tuple[str, ...]]]:
        return type(self), (str(self), self.causes)


class ModelError(Error):
    """A model cannot be had or cannot be used."""


class ModelNotFoundError(ModelError):
    """There is no such model: not on this machine, or not on the hub, or a file of it is missing."""


class DownloadError(ModelError):
    """A download was denied, or failed on the way."""


class CheckpointError(ModelError):
    """A model's files are damaged, or are not of a model that seekvl knows. The message names file, tensor or key."""


class ImageError(Error, ValueError):
    """A picture cannot be read, decoded or written."""


class ConversationError(Error, ValueError):
    """Messages that are not well formed, or with pictures for a model that reads text alone."""


class OptionError(Error, ValueError):
    """An option has a value that it cannot have, or that does not fit the model."""


class PromptTooLongError(Error, ValueError):
    """The prompt has more tokens than the model's context holds."""


class GenerationError(Error):
    """The model computed something that is no number, or could not compute at all."""


class CancelledError(Error):
    """The work was given up before there was an answer."""


class ForkError(Error, RuntimeError):
    """seekvl was used before the process forked; its threads are not in the child."""
