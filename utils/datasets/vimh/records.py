"""Records of VIMH files (version 2.1) as arrays.

A record is, little-endian and without padding: height, width, channels (3 x u16), spec_min and
spec_max in dB (2 x f32), the number N of labels (u8), N pairs of parameter id and code (u8), and
the image (u8, channel by channel, lowest frequency first). All records of a data set have the same
size, so a file is an array of them, and images, labels and scales are views into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.datasets.vimh.parameters import Parameter, class_index, dequantise
from utils.datasets.vimh.sidecar import Exact

HEADER_BYTES = 14  # of a record, before its labels
MOST_PARAMETERS = 255
LARGEST_SIDE = 2**16 - 1
LARGEST_IMAGE = 2**31 - 2**10  # bytes; the rest of a record is smaller than 1 kB


def record_dtype(n_parameters: int, channels: int, height: int, width: int) -> np.dtype:
    """The fields of a record, without gaps; ``size`` is (H, W, C), ``scale`` in dB."""
    return np.dtype(
        [
            ("size", "<u2", 3),
            ("scale", "<f4", 2),
            ("n_labels", "u1"),
            ("labels", "u1", (n_parameters, 2)),  # (parameter id, code)
            ("image", "u1", (channels, height, width)),
        ]
    )


def make_records(images: ArrayLike, codes: ArrayLike, scale: ArrayLike) -> NDArray[np.void]:
    """Records of images (n, C, H, W) uint8, codes (n, N) uint8 and scale (n, 2) in dB.

    Raises
    ------
    ValueError
        Arrays of other types or shapes.
    """
    images, codes, scale = np.asarray(images), np.asarray(codes), np.asarray(scale, np.float32)
    if images.dtype != np.uint8 or images.ndim != 4 or codes.dtype != np.uint8 or codes.ndim != 2:
        raise ValueError(
            "expected images (n, C, H, W) and codes (n, N), both uint8; found "
            f"{images.shape} {images.dtype} and {codes.shape} {codes.dtype}"
        )
    n, channels, height, width = images.shape
    if len(codes) != n or scale.shape != (n, 2):
        raise ValueError(f"{n} images, {len(codes)} codes, scale {scale.shape}: expected ({n}, 2)")
    if max(channels, height, width) > LARGEST_SIDE or codes.shape[1] > MOST_PARAMETERS:
        raise ValueError(
            f"images {images.shape[1:]} with {codes.shape[1]} parameters do not fit the format: "
            f"sides up to {LARGEST_SIDE}, {MOST_PARAMETERS} parameters"
        )
    records = np.empty(n, record_dtype(codes.shape[1], channels, height, width))
    records["size"] = height, width, channels
    records["scale"], records["n_labels"] = scale, codes.shape[1]
    records["labels"][..., 0], records["labels"][..., 1] = np.arange(codes.shape[1]), codes
    records["image"] = images
    return records


@dataclass(frozen=True, eq=False, repr=False)
class VIMHSplit:
    """The training or the test part: records, and the parameters their labels are of."""

    records: NDArray[np.void]  # (n,) of record_dtype; memory-mapped where read from a binary file
    parameters: tuple[Parameter, ...]
    exact: Exact | None = None  # what quantisation lost, where a sidecar keeps it

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"VIMHSplit({len(self):,} images {'x'.join(map(str, self.images.shape[1:]))})"

    @property
    def images(self) -> NDArray[np.uint8]:
        """(n, C, H, W) view; row 0 is the lowest frequency, columns are times."""
        return self.records["image"]

    @property
    def scale(self) -> NDArray[np.float32]:
        """(n, 2) view of the smallest and largest value of each image before it became bytes.

        In dB; of images with envelope channels, these are sums and means of grey levels.
        """
        return self.records["scale"]

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """(n, N) bytes that stand for the parameters, in their order."""
        ids, codes = np.moveaxis(self.records["labels"], 2, 0)
        return np.take_along_axis(codes, ids.argsort(axis=1), axis=1)

    @cached_property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """(n,) physical values of each parameter, as precise as a byte is."""
        return {
            p.name: dequantise(codes, p.min, p.max)
            for p, codes in zip(self.parameters, self.codes.T)
        }

    @cached_property
    def labels(self) -> dict[str, NDArray[np.int64]]:
        """(n,) class of each parameter."""
        return {
            p.name: class_index(self.values[p.name], p.min, p.max, p.step) for p in self.parameters
        }


@dataclass(frozen=True, eq=False, repr=False)
class VIMH:
    """A data set of spectral images: two parts, and what its JSON file says of them."""

    train: VIMHSplit
    test: VIMHSplit
    metadata: dict[str, Any]  # as in the JSON file, unknown keys included
    folder: Path | None = None  # it was read from

    @property
    def parameters(self) -> list[Parameter]:
        """Those that vary, in the order of the heads."""
        return list(self.train.parameters)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height (frequency) and width (time)."""
        return tuple(self.metadata[key] for key in ("channels", "height", "width"))

    def __repr__(self) -> str:
        heads = ", ".join(f"{p.name} ({p.n_classes})" for p in self.parameters)
        shape = "x".join(map(str, self.image_shape))
        return f"VIMH({len(self.train):,} + {len(self.test):,} images {shape}; {heads})"
