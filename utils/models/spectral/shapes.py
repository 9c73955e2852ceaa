"""Shapes of images, and what networks need of them."""

from __future__ import annotations

ImageShape = tuple[int, int, int]  # channels, height (frequency), width (time)


def check_sides(shape: ImageShape, at_least: int, who: str) -> None:
    """Refuse images that are too small.

    Raises
    ------
    ValueError
        A side below ``at_least`` pixels.
    """
    _, height, width = shape
    if min(height, width) < at_least:
        raise ValueError(
            f"{who} needs images of at least {at_least} x {at_least} pixels, found "
            f"{height} x {width}; use a dense network or larger images"
        )


def check_divisible(shape: ImageShape, patch: tuple[int, int], who: str) -> None:
    """Refuse images that patches do not tile.

    Raises
    ------
    ValueError
        A side that is no multiple of the patch's.
    """
    _, *sides = shape
    if any(side % part for side, part in zip(sides, patch)):
        raise ValueError(
            f"{who} needs images whose sides are multiples of {patch[0]} x {patch[1]}, found "
            f"{sides[0]} x {sides[1]}; use other patches, or a cnn"
        )
