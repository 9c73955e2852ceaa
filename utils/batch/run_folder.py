"""What a notebook leaves behind when it runs in a batch: numbers, figures and tables.

In a notebook::

    run = RunFolder(run_dir)
    run.save_metrics({"skill": 0.12, "n_windows": 480})
    run.save_figure(fig, "raster", "Sorted raster of 300 cells.")
    run.save_table(scores.to_frame(), "scores", "One row per horizon and baseline.")

An interactive notebook has ``run_dir = ""``: then every call does nothing.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

FIGURE_DPI = 150  # sharp on a laptop screen and in print at half a page's width


class RunFolder:
    """The folder of one run, or a silent stand-in when ``run_dir`` is empty.

    ``metrics.json`` holds the numbers, ``figures/*.png`` and ``tables/*.csv`` the rest;
    ``contents.json`` lists figures and tables with their captions in the order they were saved.
    """

    def __init__(self, run_dir: str | Path = "") -> None:
        self.folder: Path | None = Path(run_dir).resolve() if str(run_dir) else None
        self._metrics: dict[str, Any] = {}
        self._contents: list[dict[str, str]] = []
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"RunFolder({self.folder.name if self.folder else 'interactive: nothing is saved'})"

    def save_metrics(self, values: Mapping[str, Any]) -> None:
        """Add numbers, texts, and lists or dicts of them to ``metrics.json``.

        NaN and infinity become null, so that any JSON reader can open the file.

        Raises
        ------
        TypeError
            A value that JSON cannot hold; the message names its key.
        """
        plain = {str(key): _plain(value, str(key)) for key, value in values.items()}
        self._metrics.update(plain)
        if self.folder is not None:
            write_json(self.folder / "metrics.json", self._metrics)

    def save_figure(self, fig: Figure, name: str, caption: str) -> None:
        """Save a matplotlib figure as ``figures/<name>.png``; the caption goes into the report."""
        path = self._new_file("figures", name, ".png", caption)
        if path is not None:
            part = path.with_suffix(".part")
            fig.savefig(part, format="png", dpi=FIGURE_DPI, bbox_inches="tight")
            self._finish(part, path, caption)

    def save_table(self, table: pd.DataFrame, name: str, caption: str) -> None:
        """Save a DataFrame as ``tables/<name>.csv``; an index with a name becomes a column."""
        path = self._new_file("tables", name, ".csv", caption)
        if path is not None:
            part = path.with_suffix(".part")
            table.to_csv(part, index=any(level is not None for level in table.index.names))
            self._finish(part, path, caption)

    def _new_file(self, kind: str, name: str, suffix: str, caption: str) -> Path | None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise ValueError(f"'{name}': a name is made of letters, digits, '_' and '-' only")
        if not caption.strip():
            raise ValueError(f"'{name}' has no caption; say what it shows, with units and n")
        if self.folder is None:
            return None
        path = self.folder / kind / f"{name}{suffix}"
        path.parent.mkdir(exist_ok=True)
        return path

    def _finish(self, part: Path, path: Path, caption: str) -> None:
        os.replace(part, path)
        file = path.relative_to(self.folder).as_posix()
        self._contents = [item for item in self._contents if item["file"] != file]
        self._contents.append({"file": file, "caption": caption})
        write_json(self.folder / "contents.json", self._contents)


def write_json(path: Path, values: Any) -> None:
    """Write JSON that is either complete or absent: a partial file is never seen."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")
    os.replace(part, path)


def _plain(value: Any, where: str) -> Any:
    """The same value in types that JSON knows."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise TypeError(
        f"metric '{where}' is a {type(value).__name__}; expected numbers, texts, or lists or "
        "dicts of them (use save_table for a DataFrame)"
    )
