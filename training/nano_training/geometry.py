"""Boxes: how they lie to each other and in which order they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

from .sample import Box

Direction = Literal["left", "right", "above", "below"]
DIRECTIONS: tuple[Direction, ...] = ("left", "right", "above", "below")
OPPOSITE: dict[Direction, Direction] = {"left": "right", "right": "left", "above": "below", "below": "above"}

T = TypeVar("T")


def centre(box: Box) -> tuple[float, float]:
    """The middle of a box."""
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2


def area(box: Box) -> float:
    """Width times height; 0 for a box that is inside out."""
    return max(0.0, box.right - box.left) * max(0.0, box.bottom - box.top)


def overlap(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    left, top = max(one.left, other.left), max(one.top, other.top)
    return area(Box(left, top, min(one.right, other.right), min(one.bottom, other.bottom)))


def facing(box: Box, direction: Direction) -> tuple[float, float, float]:
    """Along the axis that grows in `direction`: where the box begins, its middle and where it ends."""
    match direction:
        case "left":
            return -box.right, -(box.left + box.right) / 2, -box.left
        case "right":
            return box.left, (box.left + box.right) / 2, box.right
        case "above":
            return -box.bottom, -(box.top + box.bottom) / 2, -box.top
        case "below":
            return box.top, (box.top + box.bottom) / 2, box.bottom


def clearly(one: Box, direction: Direction, other: Box) -> bool:
    """Whether nobody would doubt that `one` lies in `direction` from `other`: they are apart along that axis."""
    return facing(one, direction)[0] >= facing(other, direction)[2]


def perhaps(one: Box, direction: Direction, other: Box) -> bool:
    """Whether somebody might say that `one` lies in `direction` from `other`: its middle does."""
    return facing(one, direction)[1] > facing(other, direction)[1]


def in_reading_order(items: Iterable[T], box_of: Callable[[T], Box]) -> list[T]:
    """Row by row from the top, each from the left.

    A row is the topmost item that is left and all whose middles are not below its bottom.
    """
    waiting = sorted(items, key=lambda item: box_of(item).top)
    ordered: list[T] = []
    while waiting:
        bottom = box_of(waiting[0]).bottom
        row = [item for item in waiting if centre(box_of(item))[1] <= bottom]
        ordered += sorted(row, key=lambda item: box_of(item).left)
        waiting = [item for item in waiting if item not in row]
    return ordered
