"""What makes arrays and metadata a V1 recording: defaults, and faults told by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.config import near_matches


class _Kind(NamedTuple):
    """What an array must be; ``dtype`` None keeps the one it has."""

    shape: tuple[str, ...]
    kinds: str  # of numbers, as NumPy calls them
    dtype: type | None


ARRAYS: dict[str, _Kind] = {
    "stim": _Kind(("T", "H", "W"), "uf", None),
    "robs": _Kind(("T", "N"), "uif", None),
    "trial_inds": _Kind(("T",), "ui", np.int64),
    "eyepos": _Kind(("T", "2"), "f", np.float32),
    "valid": _Kind(("T", "N"), "b", np.bool_),
    "t_bins": _Kind(("T",), "f", np.float64),
    "stim_type": _Kind(("T",), "ui", np.int8),
    "psth_inds": _Kind(("T",), "ui", np.int32),
    "sf": _Kind(("T",), "f", np.float32),
    "ori": _Kind(("T",), "f", np.float32),
    "phase": _Kind(("T",), "f", np.float32),
    "behavior": _Kind(("T", "D"), "uif", np.float32),
}
KINDS = {"u": "unsigned integers", "i": "integers", "f": "floats", "b": "booleans"}
NEEDED = ("robs", "trial_inds")
NEEDED_METADATA = ("rate_hz", "px_per_deg")


def complete_metadata(given: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    """Metadata with defaults where there are any, but for the ids of cells.

    Raises
    ------
    ValueError
        Something is missing or no positive number; ``where`` is the file to name.
    """
    for key in NEEDED_METADATA:
        if key not in given:
            raise ValueError(f"{where}: metadata '{key}' is missing{near_matches(key, [*given])}")
        value = given[key]
        if not isinstance(value, int | float) or not 0 < value < np.inf:
            raise ValueError(
                f"{where}: metadata '{key}' must be a positive number, found {value!r}"
            )
    defaults = {"name": name, "stim_types": ["stimulus"], "simulated": False}
    return {**defaults, **given}


def complete_arrays(
    given: Mapping[str, ArrayLike], metadata: Mapping[str, Any], where: str
) -> dict[str, NDArray | None]:
    """All arrays of a recording, in their types, with defaults for those not given.

    Raises
    ------
    ValueError
        An array is missing, or has a wrong kind, shape or content; ``where`` is the file to name.
    """
    for name in NEEDED:
        if name not in given:
            known = [*given, *metadata]  # a name that is not known counts as metadata
            raise ValueError(f"{where}: array '{name}' is missing{near_matches(name, known)}")
    n_bins, n_cells = _checked("robs", given["robs"], None, where).shape
    if not n_bins or not n_cells:
        raise ValueError(f"{where}: array 'robs' is empty: {n_bins} bins of {n_cells} cells")
    arrays = {name: _checked(name, array, n_bins, where) for name, array in given.items()}
    arrays = {**_defaults(n_bins, metadata["rate_hz"]), **arrays}
    if arrays["valid"].ndim == 1:
        arrays["valid"] = arrays["valid"][:, None]
    if arrays["valid"].shape[1] not in (1, n_cells):
        raise ValueError(
            f"{where}: array 'valid' has {arrays['valid'].shape[1]} columns; expected one, or one "
            f"for each of the {n_cells} cells"
        )
    _check_responses(arrays["robs"], arrays["valid"], where)
    _check_trials(arrays["trial_inds"], arrays["stim_type"], metadata["stim_types"], where)
    _check_clock(arrays["t_bins"], arrays["trial_inds"], metadata["rate_hz"], where)
    return arrays


def check_cell_ids(ids: Any, n_cells: int, where: str) -> None:
    """Refuse ids that do not name each cell once."""
    if not isinstance(ids, list) or len(ids) != n_cells or len(set(ids)) != n_cells:
        found = f"{len(ids)}, {len(set(ids))} different" if isinstance(ids, list) else repr(ids)
        raise ValueError(
            f"{where}: metadata 'cell_ids' must hold {n_cells} different ids, one for each column "
            f"of 'robs'; found {found}"
        )


def _defaults(n_bins: int, rate_hz: float) -> dict[str, NDArray | None]:
    nowhere = np.full(n_bins, np.nan, np.float32)
    return {
        "stim": None,
        "eyepos": None,
        "behavior": None,
        "valid": np.ones((n_bins, 1), bool),
        "t_bins": (np.arange(n_bins) + 0.5) / rate_hz,
        "stim_type": np.zeros(n_bins, np.int8),
        "psth_inds": np.full(n_bins, -1, np.int32),
        "sf": nowhere,
        "ori": nowhere,
        "phase": nowhere,
    }


def _checked(name: str, array: ArrayLike, n_bins: int | None, where: str) -> NDArray:
    """An array in its type, if it has the right kind of numbers and the right shape."""
    kind = ARRAYS[name]
    array = np.asanyarray(array)  # a mapped array stays mapped
    ndims = (1, 2) if name == "valid" else (len(kind.shape),)
    if array.dtype.kind not in kind.kinds or array.ndim not in ndims:
        raise ValueError(
            f"{where}: array '{name}' must be ({', '.join(kind.shape)}) "
            f"{' or '.join(KINDS[letter] for letter in kind.kinds)}; found {array.shape} "
            f"{array.dtype}"
        )
    if n_bins is not None and len(array) != n_bins:
        raise ValueError(
            f"{where}: array '{name}' has {len(array)} bins, 'robs' has {n_bins}; all arrays of a "
            "recording are of one length"
        )
    if name == "eyepos" and array.shape[1] != 2:
        raise ValueError(
            f"{where}: array 'eyepos' must be (T, 2), azimuth and elevation; found {array.shape}"
        )
    return array if kind.dtype is None else array.astype(kind.dtype, copy=False)


def _check_responses(robs: NDArray, valid: NDArray[np.bool_], where: str) -> None:
    wrong = ~np.isfinite(robs) & valid
    if wrong.any():
        time, cell = np.argwhere(wrong)[0]
        raise ValueError(
            f"{where}: array 'robs' has {wrong.sum()} values that are not finite, the first in bin "
            f"{time} of column {cell}; mark them in 'valid' (T, N) as False"
        )


def _check_trials(
    trials: NDArray[np.int64], types: NDArray[np.int8], names: Sequence[str], where: str
) -> None:
    changes = np.flatnonzero(np.diff(trials)) + 1
    starts = trials[np.r_[0, changes]]
    numbers, counts = np.unique(starts, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"{where}: array 'trial_inds': trial {numbers[counts > 1][0]} lies in "
            f"{counts.max()} pieces; give each piece a number of its own"
        )
    if types.min() < 0 or types.max() >= len(names):
        raise ValueError(
            f"{where}: array 'stim_type' runs from {types.min()} to {types.max()}; the metadata's "
            f"stim_types are {len(names)}: {', '.join(names)}"
        )
    mixed = np.flatnonzero(np.diff(types) & (np.diff(trials) == 0))
    if len(mixed):
        raise ValueError(
            f"{where}: array 'stim_type' changes within trial {trials[mixed[0]]}; a trial has one "
            "type of stimulus"
        )


def _check_clock(
    times: NDArray[np.float64], trials: NDArray[np.int64], rate_hz: float, where: str
) -> None:
    """Bins of a trial follow one another; between trials the clock may jump ahead."""
    steps = np.diff(times) * rate_hz  # bins
    uneven = np.where(np.diff(trials) == 0, np.abs(steps - 1) > 0.5, steps <= 0) | np.isnan(steps)
    if uneven.any():
        place = int(uneven.argmax())
        raise ValueError(
            f"{where}: array 't_bins': bin {place + 1} lies {steps[place] / rate_hz:g} s after the "
            f"one before, expected {1 / rate_hz:g} s within a trial and more than 0 between two; "
            "start a new trial after a pause"
        )
