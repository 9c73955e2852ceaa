"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100, from the files that they were published in.

To be cited as LeCun, Bottou, Bengio & Haffner, "Gradient-Based Learning Applied to Document
Recognition", Proceedings of the IEEE 86, 1998 (MNIST); Xiao, Rasul & Vollgraf, "Fashion-MNIST",
arXiv 1708.07747 (Fashion-MNIST); Krizhevsky, "Learning Multiple Layers of Features from Tiny
Images", 2009 (CIFAR).
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from utils.config import ConfigError, near_matches
from utils.datasets.drawn_digits import draw_digits, draw_tints
from utils.datasets.examples import Examples, ExampleSets, hold_out
from utils.datasets.hub import load_from_hub
from utils.paths import data_dir

SIMULATED = "SIMULATED.txt"  # stands in a folder of simulated images
IDX_IMAGES, IDX_LABELS = 0x0803, 0x0801  # unsigned bytes with three axes, and with one
CIFAR_SHAPE = (3, 32, 32)
DIGITS = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class ImageSet:
    """Where the images of a data set are, and what they show."""

    hub: str  # name on the Hugging Face Hub
    image: str  # column there
    labels: tuple[str, ...]  # columns there; the last one is the class
    train: tuple[str, ...]  # files
    test: tuple[str, ...]
    class_names: tuple[str, ...]

    @property
    def is_idx(self) -> bool:
        """Images and labels in files of their own; else CIFAR's, where they alternate."""
        return "ubyte" in self.train[0]


def _idx_set(hub: str, class_names: tuple[str, ...]) -> ImageSet:
    files = [
        (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte") for part in ("train", "t10k")
    ]
    return ImageSet(hub, "image", ("label",), *files, class_names)


SETS = {
    "mnist": _idx_set("ylecun/mnist", DIGITS),
    "fashion_mnist": _idx_set(
        "zalando-datasets/fashion_mnist",
        ("T-shirt", "trouser", "pullover", "dress", "coat")
        + ("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    "cifar10": ImageSet(
        "uoft-cs/cifar10",
        "img",
        ("label",),
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        ("test_batch.bin",),
        ("airplane", "automobile", "bird", "cat", "deer")
        + ("dog", "frog", "horse", "ship", "truck"),
    ),
    "cifar100": ImageSet(
        "uoft-cs/cifar100",
        "img",
        ("coarse_label", "fine_label"),
        ("train.bin",),
        ("test.bin",),
        tuple(f"class {label}" for label in range(100)),
    ),
}


def read_images(
    name: str,
    folder: str | Path | None = None,
    *,
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> ExampleSets:
    """Images (image, channel, height, width) uint8 and their classes.

    ``ExamplesDataModule(read_images("mnist"), to_inputs=sequentialise)`` serves them to a trainer.

    Parameters
    ----------
    name : ``"mnist"``, ``"fashion_mnist"``, ``"cifar10"`` or ``"cifar100"`` (fine classes).
    folder : of the published files: IDX, packed (``.gz``) or not, or the binary version of CIFAR;
        ``DATA/images/<name>`` where None, see :func:`fetch_images`.
    validation_fraction : of the training images, drawn at random with ``seed``.

    Raises
    ------
    ConfigError
        Unknown name.
    FileNotFoundError, ValueError
        A file is missing, or is not what its format says; the message names it.
    """
    wanted = _image_set(name)
    folder = data_dir() / "images" / name if folder is None else Path(folder)
    read = _read_idx if wanted.is_idx else _read_cifar
    parts = [read(wanted, folder, files) for files in (wanted.train, wanted.test)]
    train, validation = hold_out(parts[0], validation_fraction, seed)
    source = "simulated" if (folder / SIMULATED).is_file() else name
    return ExampleSets(train, validation, parts[1], wanted.class_names, source, white=255)


def fetch_images(name: str) -> Path:
    """The folder ``DATA/images/<name>``; where it is not there, images are downloaded into it.

    Raises
    ------
    ConfigError
        Unknown name.
    ConnectionError
        No network; the message says which files to put where.
    """
    wanted = _image_set(name)
    folder = data_dir() / "images" / name
    if not folder.is_dir():
        files = ", ".join((*wanted.train, *wanted.test))
        splits = load_from_hub(
            wanted.hub, instead=f"download {files} elsewhere and put them into {folder}"
        )
        part = folder.with_suffix(".part")
        part.mkdir(parents=True, exist_ok=True)
        for split, files in (("train", wanted.train), ("test", wanted.test)):
            rows = tqdm(splits[split][wanted.image], desc=f"{name}, {split}", leave=False)
            pixels = np.stack([np.atleast_3d(row) for row in rows]).transpose(0, 3, 1, 2)
            labels = [np.asarray(splits[split][column][:]) for column in wanted.labels]
            _write_images(wanted, part, files, pixels, labels)
        os.replace(part, folder)
    return folder


def write_images_like(
    folder: str | Path,
    name: str = "mnist",
    n_train: int = 600,
    n_test: int = 200,
    size: int = 28,
    seed: int = 0,
) -> Path:
    """Write simulated images in the files of a data set, equally many per class.

    They show digits of seven strokes, as on a pocket calculator, at random places, sizes, slants
    and widths, with noise. Those of CIFAR have a colour, too, which tells the ten classes of
    CIFAR-100 with the same last digit apart. The folder, which is returned, says that they are
    simulated.

    Parameters
    ----------
    size : height and width in pixels; CIFAR's files hold 32 x 32 only.
    """
    wanted, folder = _image_set(name), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for n_images, files in ((n_train, wanted.train), (n_test, wanted.test)):
        fine = rng.permutation(np.arange(n_images) % len(wanted.class_names))
        pixels = draw_digits(fine % 10, size if wanted.is_idx else CIFAR_SHAPE[1], rng)[:, None]
        if not wanted.is_idx:
            pixels = pixels * draw_tints(fine // 10, rng)
        labels = [fine // 5, fine][-len(wanted.labels) :]
        _write_images(wanted, folder, files, np.uint8(255 * pixels), labels)
    (folder / SIMULATED).write_text("These images are simulated.\n")
    return folder


def _image_set(name: str) -> ImageSet:
    if name not in SETS:
        raise ConfigError(
            f"unknown images '{name}'{near_matches(name, SETS)}; expected one of {', '.join(SETS)}"
        )
    return SETS[name]


def _read_idx(wanted: ImageSet, folder: Path, files: Sequence[str]) -> Examples:
    """A file of images and one of labels: a header of big-endian numbers, then bytes."""
    images_file, labels_file = files
    pixels = _idx_array(folder, images_file, IDX_IMAGES)
    labels = _idx_array(folder, labels_file, IDX_LABELS)
    if len(pixels) != len(labels):
        raise ValueError(
            f"{folder}: {images_file} has {len(pixels)} images, {labels_file} {len(labels)} labels"
        )
    _check_labels(folder / labels_file, labels, wanted)
    return Examples(pixels[:, None], labels.astype(np.int64))


def _idx_array(folder: Path, name: str, magic: int) -> NDArray[np.uint8]:
    path, content = _content(folder, name)
    n_axes = magic & 0xFF
    header = 4 * (1 + n_axes)
    found, *shape = struct.unpack(f">{1 + n_axes}I", content[:header].ljust(header, b"\0"))
    if found != magic:
        raise ValueError(
            f"{path} begins with {found:#010x}, expected {magic:#010x}: bytes with {n_axes} axes"
        )
    expected = math.prod(shape)
    if len(content) != header + expected or not expected:
        raise ValueError(
            f"{path} announces {' x '.join(map(str, shape))} bytes and has "
            f"{max(len(content) - header, 0)}: it is empty, truncated or damaged"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()


def _read_cifar(wanted: ImageSet, folder: Path, files: Sequence[str]) -> Examples:
    """Records of one label (or a coarse and a fine one) and 3 x 32 x 32 values."""
    n_labels, parts = len(wanted.labels), []
    for name in files:
        path, content = _content(folder, name)
        width = n_labels + math.prod(CIFAR_SHAPE)
        if len(content) % width or not content:
            raise ValueError(
                f"{path} has {len(content)} bytes, which is no number of records of {width}: it is "
                "truncated, or not the binary version"
            )
        parts.append(np.frombuffer(content, np.uint8).reshape(-1, width))
        _check_labels(path, parts[-1][:, n_labels - 1], wanted)
    records = np.concatenate(parts)
    pixels = np.ascontiguousarray(records[:, n_labels:]).reshape(-1, *CIFAR_SHAPE)
    return Examples(pixels, records[:, n_labels - 1].astype(np.int64))


def _content(folder: Path, name: str) -> tuple[Path, bytes]:
    """A file as it is, or unpacked."""
    path = folder / name
    packed = folder / f"{name}.gz"
    if path.is_file():
        return path, path.read_bytes()
    if not packed.is_file():
        raise FileNotFoundError(
            f"no file {path} (or {packed.name}); fetch_images(name) downloads images, "
            "write_images_like(folder, name) simulates them"
        )
    try:
        return packed, gzip.decompress(packed.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{packed} is damaged: {error}") from None


def _check_labels(path: Path, labels: NDArray[np.uint8], wanted: ImageSet) -> None:
    n_classes = len(wanted.class_names)
    if labels.max() >= n_classes:
        place = int((labels >= n_classes).argmax())
        raise ValueError(f"{path}: label {place} is {labels[place]}, expected 0 to {n_classes - 1}")


def _write_images(
    wanted: ImageSet,
    folder: Path,
    files: Sequence[str],
    pixels: NDArray[np.uint8],
    labels: list[NDArray],
) -> None:
    """Write (image, channel, height, width) and the columns of labels as published."""
    if wanted.is_idx:
        for name, magic, values in zip(
            files, (IDX_IMAGES, IDX_LABELS), (pixels[:, 0], np.uint8(labels[0]))
        ):
            header = struct.pack(f">{1 + values.ndim}I", magic, *values.shape)
            (folder / name).write_bytes(header + values.tobytes())
        return
    records = np.column_stack([*labels, pixels.reshape(len(pixels), -1)]).astype(np.uint8)
    for name, part in zip(files, np.array_split(records, len(files))):
        (folder / name).write_bytes(part.tobytes())
