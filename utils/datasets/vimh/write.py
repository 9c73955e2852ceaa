"""Writing VIMH folders, byte for byte as the format has them."""

from __future__ import annotations

import os
import pickle as python_pickle
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.datasets.vimh.checks import (
    check_count,
    check_exact,
    check_records,
    check_total,
    dtype_of,
)
from utils.datasets.vimh.errors import VIMHError
from utils.datasets.vimh.metadata import (
    INFO,
    check_agreement,
    check_layout,
    check_name,
    metadata_text,
)
from utils.datasets.vimh.records import VIMH
from utils.datasets.vimh.sidecar import write_sidecar

PROTOCOL = 4  # of the pickled variant


def write_vimh(vimh: VIMH, folder: str | Path, pickle: bool | None = None) -> Path:
    """Write a data set into a new folder, which appears when it is complete.

    Parameters
    ----------
    folder : of the data set itself; see :func:`utils.datasets.vimh.dataset_name`.
    pickle : write the pickled variant as well. By default where the metadata's ``output_format``
        is "both"; otherwise ``output_format`` is adapted.

    Raises
    ------
    FileExistsError
        The folder is there, and not empty.
    VIMHError
        Records and metadata contradict each other, or the folder's name is of another data set.
    """
    folder = Path(folder)
    metadata = _with_format(vimh.metadata, pickle)
    parts = {"train": vimh.train, "test": vimh.test}
    check_layout(metadata, "metadata")
    check_agreement(metadata, "metadata")
    check_name(folder.resolve().name, metadata, f"the name of folder {folder}")
    check_total(sum(map(len, parts.values())), metadata, "metadata")
    for part, split in parts.items():
        if split.records.dtype != dtype_of(metadata):
            raise VIMHError(f"{part}: images or labels are not of the size that the metadata says")
        check_count(len(split), part, metadata, part)
        check_records(split.records, metadata, part)
        check_exact(split, part)
    with _new_folder(folder) as new:
        for part, split in parts.items():
            split.records.tofile(new / part)
            if metadata.get("output_format") == "both":
                with (new / f"{part}_batch").open("wb") as file:
                    python_pickle.dump(_content(split.records), file, PROTOCOL)
        exact = {part: split.exact for part, split in parts.items() if split.exact is not None}
        if len(exact) == len(parts):
            write_sidecar(new, exact)
        (new / INFO).write_text(metadata_text(metadata), encoding="utf-8")
    return folder


def _with_format(metadata: Mapping[str, Any], pickle: bool | None) -> dict[str, Any]:
    if pickle is None:
        return dict(metadata)
    return dict(metadata) | {"output_format": "both" if pickle else "binary"}


def _content(records: NDArray[np.void]) -> dict[str, Any]:
    """What the pickled variant holds of a part."""
    channels, height, width = records.dtype["image"].shape
    labels = records["labels"].reshape(len(records), -1)
    return {
        "data": np.ascontiguousarray(records["image"].reshape(len(records), -1)),
        "vimh_labels": np.column_stack([records["n_labels"], labels]).tolist(),
        "scale_factors": np.ascontiguousarray(records["scale"]),
        "height": height,
        "width": width,
        "channels": channels,
        "image_size": height * width * channels,
    }


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``folder`` when all went well."""
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; give a new folder, or delete it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        new = Path(temporary) / "new"
        new.mkdir()
        yield new
        os.replace(new, folder)
