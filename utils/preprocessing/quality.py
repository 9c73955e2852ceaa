"""Which frames and cells are left out, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from utils.preprocessing.config import CellFilterConfig
from utils.sessions.errors import SessionError


def excluded_frames(session: Any, clock_end: float) -> pd.DataFrame:
    """Frames of each FOV that are not used: reason and number."""
    rows = []
    for fov in session.fovs:
        bad = np.asarray(fov.bad_frames).astype(bool)
        codes = np.asarray(fov.frame_qc)
        rows.append((fov.fov_name, "bad frame", int(bad.sum())))
        for code in np.unique(codes[codes != 0]):
            name = fov.frame_qc_names.get(int(code), f"code {code}")
            count = int((codes[~bad] == code).sum())
            rows.append((fov.fov_name, f"frame QC: {name} (not already bad)", count))
        missing = round((clock_end - fov.timestamps[-1]) * fov.frame_rate)
        rows.append((fov.fov_name, "ends before the session's clock", max(missing, 0)))
    table = pd.DataFrame(rows, columns=["item", "reason", "count"])
    table.insert(0, "kind", "frame")
    return table[table["count"] > 0].reset_index(drop=True)


def masked_frames(frame_mask: np.ndarray, min_fraction: float) -> pd.DataFrame:
    """Frames of the session's clock ``(time,)`` bool that hold too few values."""
    row = {
        "kind": "frame",
        "item": "clock",
        "reason": f"fewer than {min_fraction:.0%} of the cells have a value",
        "count": int((~frame_mask).sum()),
    }
    return pd.DataFrame([row] if row["count"] else [], columns=list(row))


def filter_cells(
    quality: pd.DataFrame,
    scale: np.ndarray,
    cell_probability: np.ndarray,
    config: CellFilterConfig,
) -> np.ndarray:
    """Why each cell is left out: ``(cell,)`` text, empty for a cell that is kept.

    The rule ``basic`` asks only for what scaling and windows need: enough values, some spread,
    fluorescence that is not mostly negative. The rule ``percentiles`` is that of the first
    version: besides, the cell must not be extreme among all cells.

    Parameters
    ----------
    quality : one row per cell, statistics of the training block.
    scale : (cell,) of the scaler.
    cell_probability : (cell,), NaN where unknown.
    """
    reasons = np.full(len(quality), "", dtype=object)
    negative = quality.get("negative_fluorescence", pd.Series(0.0, index=quality.index))
    checks = [
        (quality["valid_fraction"] < config.min_valid_fraction, "too few values in training"),
        (quality["range"].isna() | (quality["range"] == 0), "constant in the training block"),
        (~(scale > 0), "no spread to scale by in the training block"),
        (negative > config.max_negative_fraction, "fluorescence mostly negative"),
        (cell_probability < config.min_cell_probability, "low cell probability"),
    ]
    if config.rule == "percentiles":
        checks += _population_checks(quality, config)
    for failed, reason in checks:
        reasons[np.asarray(failed, bool) & (reasons == "")] = reason
    return reasons


def _population_checks(
    quality: pd.DataFrame, config: CellFilterConfig
) -> list[tuple[pd.Series, str]]:
    def percentile(column: str, percent: float) -> float:
        return float(np.nanpercentile(quality[column], percent))

    return [
        (quality["iqr"] < percentile("iqr", 5), "interquartile range among the lowest 5 %"),
        (quality["range"] > percentile("range", 95), "range among the highest 5 %"),
        (quality["median"] < percentile("median", 1), "median among the lowest 1 %"),
        (quality["std"] > percentile("std", 99), "standard deviation among the highest 1 %"),
        (quality["negative_fraction"] >= config.max_negative_fraction, "mostly negative"),
    ]


def excluded_cells(neurons: pd.DataFrame, reasons: np.ndarray) -> pd.DataFrame:
    """One row per excluded cell: its id (or FOV and ROI number) and the reason."""
    dropped = reasons != ""
    rows = neurons[dropped]
    names = [
        uuid if uuid else f"{fov}/{roi}"
        for uuid, fov, roi in zip(rows["uuid"], rows["fov"], rows["roi"])
    ]
    table = pd.DataFrame({"kind": "neuron", "item": names, "reason": reasons[dropped]})
    return table.assign(count=1)


def require_cells(kept: np.ndarray, reasons: np.ndarray, eid: str) -> None:
    """A SessionError that counts the reasons if no cell is left."""
    if kept.any():
        return
    counts = pd.Series(reasons).value_counts()
    found = ", ".join(f"{n} {reason}" for reason, n in counts.items()) or "the session has no cell"
    raise SessionError(
        f"session {eid}: no cells after filtering ({found}). Loosen cells.* in the "
        "preprocessing config, or check the traces"
    )


def quality_flags(quality: pd.DataFrame, flags: pd.Series) -> pd.Series:
    """Flags of the reader with those of preprocessing added: text, empty for none."""
    floored = quality.get("baseline_floored", pd.Series(False, index=quality.index))
    new = {"baseline floored": floored, "often missing": quality["valid_fraction"] < 0.9}
    result = flags.fillna("").astype(object)
    for name, mask in new.items():
        mask = np.asarray(mask, bool)
        result[mask] = [f"{text}, {name}".lstrip(", ") for text in result[mask]]
    return result
