"""Batches of several data sets: complete, repeatable, and free of what is tested on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.config import ConfigError
from utils.datasets.v1 import HELD_OUT, V1DataModule, as_recording, describe_recordings
from utils.splits import TRAIN

N_LAGS = 6


@pytest.fixture
def make_module(make_recording):
    """Makes two data sets, ``large`` and ``small``."""

    def make(recordings=None, settings=(), **arguments):
        if recordings is None:
            types = np.arange(24) % 3
            recordings = {
                "large": make_recording([40] * 24, types),
                "small": make_recording([20] * 15, types[:15], seed=1, n_cells=2),
            }
        settings = {"n_lags": N_LAGS, "held_out_types": ["stabilised"], **dict(settings)}
        configs = [
            describe_recordings([as_recording(recording)], name=name, **settings)[0]
            for name, recording in recordings.items()
        ]
        arguments = {"sequence_bins": 10, "batch_size": 3, **arguments}
        return V1DataModule(configs, recordings, **arguments)

    return make


def equal(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(a, b) for name in first for a, b in zip(first[name], second[name])
    )


def test_a_batch_has_every_data_set_it_can(make_module):
    loader = make_module().train_dataloader()
    batches = list(loader)
    assert len(batches) == len(loader)
    assert set(batches[0]) == {"large", "small"}
    assert set(batches[-1]) == {"large"}  # the small one has run out
    sizes = [len(batch["large"].mask) for batch in batches]
    assert max(sizes) <= 3
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("split", ["train", "val", "test", "held_out"])
def test_each_bin_that_counts_comes_once(make_module, split):
    module = make_module()
    label = {"train": 0, "val": 1, "test": 2, "held_out": HELD_OUT}[split]
    totals = dict.fromkeys(module.datasets, 0.0)
    n_counted = dict.fromkeys(module.datasets, 0)
    for batch in getattr(module, f"{split}_dataloader")():
        for name, part in batch.items():
            counted = part.responses[:, N_LAGS - 1 :] * part.mask
            totals[name] += counted.sum().item()
            n_counted[name] += int(part.mask.sum())
    for name, data in module.datasets.items():
        counts = data.counted(label)
        assert n_counted[name] == counts.sum() > 0
        assert totals[name] == data.responses[counts].sum()


def test_training_batches_differ_between_epochs_and_repeat_with_the_seed(make_module):
    loader = make_module().train_dataloader()
    first, second = list(loader), list(loader)
    assert not any(equal(a, b) for a, b in zip(first, second))
    loader.sampler.set_epoch(0)
    assert all(equal(a, b) for a, b in zip(first, loader))
    again = make_module().train_dataloader()
    assert all(equal(a, b) for a, b in zip(first, again))
    other = make_module(seed=1).train_dataloader()
    assert not any(equal(a, b) for a, b in zip(first, other))


def test_validation_batches_are_always_the_same(make_module):
    loader = make_module().val_dataloader()
    assert all(equal(a, b) for a, b in zip(loader, loader))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_batches_do_not_depend_on_the_number_of_workers(make_module, num_workers):
    alone = make_module().train_dataloader()
    helped = make_module(num_workers=num_workers).train_dataloader()
    for _ in range(2):  # epochs
        batches = list(alone)
        assert all(equal(a, b) for a, b in zip(batches, helped, strict=True))


def test_nothing_but_training_trials_is_learnt_from(make_module, make_recording):
    before = make_module()
    changed = {}
    for name, data in before.datasets.items():
        recording = data.recording
        others = ~np.repeat(data.labels == TRAIN, np.diff(data.trials())[:, 0])
        changed[name] = make_recording(
            [b - a for a, b in data.trials()],
            recording.stim_type[data.trials()[:, 0]],
            n_cells=recording.n_cells,
            stim=np.where(others[:, None, None], 255 - recording.stim, recording.stim),
            robs=recording.robs + 50 * others[:, None].astype(np.uint8),
            eyepos=recording.eyepos * np.where(others, 100, 1)[:, None].astype(np.float32),
        )
    after = make_module(changed)
    assert after.statistics == before.statistics
    assert before.statistics["large"]["behavior"][0][1]["largest"] > 0
    for name in before.datasets:
        assert torch.equal(after.mean_rates[name], before.mean_rates[name])
        average = after.spike_triggered_average(name)
        np.testing.assert_array_equal(average, before.spike_triggered_average(name))


def test_mean_rates_are_those_of_counted_training_bins(make_module):
    module = make_module()
    data = module.datasets["large"]
    counts = data.counted(TRAIN)
    expected = [data.responses[counts[:, cell], cell].mean() for cell in range(3)]
    np.testing.assert_allclose(module.mean_rates["large"], expected, rtol=1e-6)


def test_spike_triggered_average_by_its_definition(make_module):
    module = make_module()
    data = module.datasets["small"]
    bins = np.flatnonzero(data.counted(TRAIN)[:, 0])
    frames = (data.recording.stim.astype(float) - 127) / 255
    expected = np.zeros((2, N_LAGS, 7, 9))
    for cell in range(2):
        weights = data.responses[bins, cell].astype(float)
        for lag in range(N_LAGS):
            seen = frames[bins - lag]
            expected[cell, lag] = np.average(seen, 0, weights) - seen.mean(0)
    np.testing.assert_allclose(module.spike_triggered_average("small"), expected, atol=1e-6)


def test_spike_triggered_average_finds_what_drives_a_cell(make_module, make_recording):
    recording = make_recording([60] * 20)
    driven = np.roll(recording["stim"][:, 2, 5] > 200, 3)  # three bins later
    recording["robs"][:, 1] = 4 * driven
    average = make_module({"a": recording}, {"held_out_types": []}).spike_triggered_average("a")
    assert np.unravel_index(average[1].argmax(), average[1].shape) == (3, 2, 5)


def test_a_cell_without_a_valid_bin_has_no_mean_and_no_average(make_module, make_recording):
    valid = np.ones((240, 3), bool)
    valid[:, 1] = False
    module = make_module({"a": make_recording([20] * 12, valid=valid)}, {"held_out_types": []})
    assert torch.isnan(module.mean_rates["a"]).tolist() == [False, True, False]
    average = module.spike_triggered_average("a")
    assert np.isnan(average[1]).all()
    assert np.isfinite(average[[0, 2]]).all()
    assert all(not batch["a"].mask[..., 1].any() for batch in module.train_dataloader())


def test_one_trial_is_to_train_on(make_module, make_recording):
    module = make_module({"a": make_recording([50])}, {"held_out_types": []})
    assert sum(int(batch["a"].mask.sum()) for batch in module.train_dataloader()) == 45 * 3
    with pytest.raises(ValueError, match="no response counts in any validation trial of a"):
        module.val_dataloader()


def test_a_data_set_with_nothing_to_train_on_is_named(make_module, make_recording):
    lost = np.full((100, 2), np.nan, np.float32)
    recordings = {"good": make_recording([50]), "blind": make_recording([50, 50], eyepos=lost)}
    with pytest.raises(ValueError, match="'blind': no response counts in training"):
        make_module(recordings, {"held_out_types": []})


def test_wrong_arguments_are_named(make_module):
    with pytest.raises(ValueError, match="must be >= 1, found 0 and 3"):
        make_module(sequence_bins=0)
    with pytest.raises(ConfigError, match="no data set has the name 'smal'; did you mean small"):
        make_module(statistics={"smal": {}})
    configs = make_module().configs
    with pytest.raises(ConfigError, match="two have the name 'large'"):
        V1DataModule([configs[0], configs[0]])
    with pytest.raises(ConfigError, match="there is none"):
        V1DataModule([])
    with pytest.raises(FileNotFoundError, match="no such V1 recording"):
        V1DataModule("simulated")
