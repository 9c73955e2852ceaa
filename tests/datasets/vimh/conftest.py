"""Reference sets of the original generator, and a small set of our own to damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from utils.datasets.vimh import VIMH, VIMHSplit, make_records, write_vimh
from utils.datasets.vimh.metadata import INFO, parameters_of

REFERENCE = "vimh-32x32x1_8000Hz_1p0s_16dss_simple_2p"
SIZE = (2, 4, 6)  # channels, height, width of the small set
ENDS = {"cutoff": (200.0, 2000.0, 100.0), "level": (-1.0, 0.0, None), "tone": (0.0, 1.0, 0.3)}
NAME = "vimh-4x6x2_8000Hz_1p5s_10dss_simple_3p"


@pytest.fixture(scope="session")
def reference_set(reference) -> Path:
    return reference / "vimh" / REFERENCE


@pytest.fixture
def small() -> VIMH:
    """Ten samples of noise, three parameters (one without a step), two channels."""
    rng = np.random.default_rng(0)
    channels, height, width = SIZE
    mappings = {
        name: {"min": low, "max": high} | ({} if step is None else {"step": step})
        for name, (low, high, step) in ENDS.items()
    }
    metadata = {
        "format": "VIMH",
        "version": "2.1",
        "dataset_name": NAME,
        "output_format": "both",
        "height": height,
        "width": width,
        "channels": channels,
        "channel_labels": ["Gray", "Gray_temporal_envelope"],
        "varying_parameters": 3,
        "parameter_names": list(ENDS),
        "train_samples": 8,
        "test_samples": 2,
        "total_samples": 10,
        "n_samples": 10,
        "sample_rate": 8000,
        "duration": 1.5,
        "image_size": "4x6x2",
        "parameter_mappings": mappings | {"note": {"min": 60.0, "max": 60.0, "step": 0.0}},
        "fixed_parameters": {"note": {"value": 60.0, "description": "µ"}},
        "label_encoding": {"metadata_bytes": 14},
        "spectrogram_config": {"sample_rate": 8000, "n_bins": height},
    }
    records = make_records(
        rng.integers(0, 256, (10, *SIZE), np.uint8),
        rng.integers(0, 256, (10, 3), np.uint8),
        np.sort(rng.normal(size=(10, 2)), axis=1),
    )
    parameters = parameters_of(metadata)
    return VIMH(VIMHSplit(records[:8], parameters), VIMHSplit(records[8:], parameters), metadata)


@pytest.fixture
def folder(small, tmp_path) -> Path:
    return write_vimh(small, tmp_path / NAME)


@pytest.fixture
def edit(folder) -> Callable:
    """Changes the JSON file of the small set; keys of objects in objects are joined by dots."""

    def change(**entries: object) -> None:
        metadata = json.loads((folder / INFO).read_text())
        for key, value in entries.items():
            *path, last = key.split("__")
            place = metadata
            for name in path:
                place = place[name]
            if value is None:
                del place[last]
            else:
                place[last] = value
        (folder / INFO).write_text(json.dumps(metadata))

    return change
