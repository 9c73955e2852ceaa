"""A simulated set of spoken digits, and what the official loader made of a tiny one."""

from __future__ import annotations

import numpy as np
import pytest

from utils.datasets.shd import read_shd, write_shd_like


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    return write_shd_like(tmp_path_factory.mktemp("shd"), n_train=60, n_test=40)


@pytest.fixture(scope="package")
def official(reference):
    """The tiny file, and what the official loader made of it."""
    values = np.load(reference / "elm" / "shd_expected.npz")
    return read_shd(reference / "elm" / "shd_synth.h5"), dict(values)
