"""That records are what the JSON file says; the first one that is not is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.datasets.vimh.errors import VIMHError
from utils.datasets.vimh.metadata import INFO, SIZE
from utils.datasets.vimh.parameters import quantise
from utils.datasets.vimh.records import VIMHSplit, record_dtype
from utils.datasets.vimh.sidecar import SIDECAR

COUNTS = {"train": "train_samples", "test": "test_samples"}


def dtype_of(metadata: Mapping[str, Any]) -> np.dtype:
    """Fields of the records of a data set."""
    height, width, channels = (metadata[key] for key in SIZE)
    return record_dtype(len(metadata["parameter_names"]), channels, height, width)


def check_records(
    records: NDArray[np.void], metadata: Mapping[str, Any], where: Path | str, first: int = 0
) -> None:
    """Refuse records with another size, other parameters or impossible scales.

    Parameters
    ----------
    first : number of the first record, for messages.

    Raises
    ------
    VIMHError
        Names the record, what was expected and what was found.
    """
    n_parameters = len(metadata["parameter_names"])
    size = [metadata[key] for key in SIZE]
    ids, scale = records["labels"][..., 0], records["scale"]
    in_range = np.isfinite(scale).all(axis=1) & (scale[:, 0] <= scale[:, 1])
    ids_known = (np.sort(ids, axis=1) == np.arange(n_parameters)).all(axis=1)
    checks = (
        ("height, width, channels", size, records["size"], (records["size"] == size).all(axis=1)),
        (
            "number of labels N",
            n_parameters,
            records["n_labels"],
            records["n_labels"] == n_parameters,
        ),
        ("parameter ids", f"each of 0 .. {n_parameters - 1} once", ids, ids_known),
        ("spec_min, spec_max", "finite and in order", scale, in_range),
    )
    good = np.all([passed for *_, passed in checks], axis=0)
    if good.all():
        return
    place = int(good.argmin())
    what, expected, values, _ = next(check for check in checks if not check[3][place])
    raise VIMHError(
        f"{where}, record {first + place}: {what} should be {expected} ({INFO}), found "
        f"{values[place].tolist()}"
    )


def check_count(n_records: int, part: str, metadata: Mapping[str, Any], where: Path | str) -> None:
    """Refuse another number of records than the JSON file gives.

    Raises
    ------
    VIMHError
        Names the first record that is missing, or one too many.
    """
    expected = metadata.get(COUNTS[part])
    if expected is not None and n_records != expected:
        fault = "is missing" if n_records < expected else "is too many"
        raise VIMHError(
            f"{where}: record {min(n_records, expected)} {fault}: "
            f"expected {expected} records ({INFO}: '{COUNTS[part]}'), found {n_records}"
        )


def check_total(n_records: int, metadata: Mapping[str, Any], where: Path | str) -> None:
    """Refuse another number of records in both parts together than the JSON file gives.

    Raises
    ------
    VIMHError
        Names the key, what was expected and what was found.
    """
    for key in ("total_samples", "n_samples"):
        if metadata.get(key, n_records) != n_records:
            raise VIMHError(
                f"{where}: '{key}' is {metadata[key]}, and train and test have {n_records} records"
            )


def check_exact(split: VIMHSplit, where: Path | str) -> None:
    """Refuse exact values of a sidecar that are not those of the records.

    Raises
    ------
    VIMHError
        Names the record, what was expected and what was found.
    """
    if split.exact is None:
        return
    where = f"{where}: its {SIDECAR}"
    values, scale = split.exact.values, split.exact.scale
    if values.shape != split.codes.shape or scale.shape != split.scale.shape:
        raise VIMHError(
            f"{where} holds values {values.shape} and scale {scale.shape}, expected "
            f"{split.codes.shape} and {split.scale.shape}"
        )
    for parameter, codes, exact in zip(split.parameters, split.codes.T, values.T):
        wrong = ~np.isfinite(exact)
        if not wrong.any():
            wrong = quantise(exact, parameter.min, parameter.max) != codes
        if wrong.any():
            place = int(wrong.argmax())
            raise VIMHError(
                f"{where}, record {place}: {parameter.name} is {exact[place]:g}, which is not "
                f"what code {codes[place]} stands for; delete the sidecar of other records"
            )
