"""Windows drawn from recordings."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from utils.models.gnn.frames import FrameBatches, Recording

N_FRAMES = 100


def numbered(inputs: bool = False) -> Recording:
    """The activity tells the frame."""
    activity = np.arange(N_FRAMES, dtype=np.float32)[:, None] + np.zeros(3, np.float32)
    return Recording(activity, -activity, 2 * activity if inputs else None)


def batches(recording: Recording | None = None, **settings: object) -> FrameBatches:
    settings = {
        "steps": 4, "aligned": True, "n_batches": 6, "batch_size": 5, "in_memory": 1000,
        "seed": 0, "moves": True,
    } | settings  # fmt: skip
    return FrameBatches(recording or numbered(), 10, 90, **settings)


def test_windows_follow_one_another_and_stay_inside():
    for batch in batches(numbered(inputs=True), aligned=False):
        first = batch.activity[:, :1]
        assert batch.activity.shape == (5, 5, 3)
        torch.testing.assert_close(batch.activity, first + torch.arange(5.0)[:, None])
        torch.testing.assert_close(batch.derivative, -first[:, 0])
        torch.testing.assert_close(batch.inputs, 2 * batch.activity)
        assert first.min() >= 10
        assert batch.activity.max() < 90


def test_aligned_windows_start_at_multiples():
    starts = torch.cat([batch.activity[:, 0, 0] for batch in batches()])
    assert ((starts - 10) % 4 == 0).all()
    assert len(starts.unique()) > 5


def test_single_frames():
    batch = next(iter(batches(steps=0, aligned=False)))
    assert batch.activity.shape == (5, 1, 3)
    assert batch.inputs is None


def test_passes_depend_on_seed_and_epoch_alone():
    def drawn(epoch: int, **settings: object) -> list[float]:
        loader = batches(**settings)
        loader.sampler.set_epoch(epoch)
        return [float(u) for batch in loader for u in batch.activity[:, 0, 0]]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
    assert drawn(3) != drawn(3, seed=1)
    assert drawn(3, moves=False) == drawn(4, moves=False)


def test_windows_avoid_missing_values():
    recording = numbered()
    recording.activity[50] = np.nan
    recording.derivative[30, 1] = np.nan
    for batch in batches(recording, n_batches=40, aligned=False):
        assert batch.activity.isfinite().all()
        assert batch.derivative.isfinite().all()


def test_nothing_but_missing_values():
    recording = numbered()
    recording.activity[:, 0] = np.nan
    with pytest.raises(ValueError, match="no window of 5 frames without a missing value"):
        next(iter(batches(recording)))


def test_files_are_read_in_stretches(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        for name, array in zip(("activity", "derivative"), numbered()):
            file[name] = array
        loader = batches(Recording(file["activity"], file["derivative"]), in_memory=20, n_batches=9)
        seen = []
        for epoch in range(5):
            loader.set_epoch(epoch)
            drawn = torch.cat([batch.activity for batch in loader])
            assert drawn.max() - drawn.min() < 20
            seen.append(float(drawn.min()))
    assert len(set(seen)) > 1
