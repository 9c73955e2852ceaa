"""What a recording has, what it lacks, and what that costs.

Nothing is dropped silently: whoever reads a data set notes here whether it was found, and the
session shows the notes as ``session.availability``.
"""

from __future__ import annotations

import pandas as pd

COLUMNS = ["dataset", "collection", "found", "required", "consequence"]


class Availability:
    """Notes taken while a session is read."""

    def __init__(self) -> None:
        self._rows: list[dict[str, object]] = []

    def note(
        self,
        dataset: str,
        collection: str,
        found: bool,
        *,
        required: bool = False,
        consequence: str = "",
    ) -> None:
        """Add one row; ``consequence`` is what the absence (or a defect) costs."""
        values = (dataset, collection, found, required, consequence)
        self._rows.append(dict(zip(COLUMNS, values)))

    def to_frame(self) -> pd.DataFrame:
        """One row per expected data set: dataset, collection, found, required, consequence."""
        table = pd.DataFrame(self._rows, columns=COLUMNS).drop_duplicates(ignore_index=True)
        return table.astype({"found": bool, "required": bool})


def missing_summary(availability: pd.DataFrame) -> str:
    """Short text of what is missing, such as ``mpci.mpciFrameQC (FOV_01), licks.times``."""
    missing = availability[~availability["found"]]
    parts = []
    for dataset, rows in missing.groupby("dataset", sort=False):
        fovs = [name.rsplit("/", 1)[-1] for name in rows["collection"]]
        fovs = [name for name in fovs if name.startswith(("FOV_", "plane"))]
        parts.append(f"{dataset} ({', '.join(fovs)})" if fovs else str(dataset))
    return ", ".join(parts)
