"""Loaders: one way to make inputs, the same for any number of workers, the test unseen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.datasets.vimh import (
    SpectralBatch,
    VIMHDataModule,
    VIMHSplit,
    generate_vimh,
    make_records,
)
from utils.datasets.vimh.records import VIMH


@pytest.fixture
def data(small) -> VIMH:
    """Forty samples that train and ten to test on."""
    rng = np.random.default_rng(1)
    records = make_records(
        rng.integers(0, 256, (50, 2, 4, 6), np.uint8),
        rng.integers(0, 256, (50, 3), np.uint8),
        np.sort(rng.normal(size=(50, 2)), axis=1),
    )
    train, test = (VIMHSplit(part, small.train.parameters) for part in (records[:40], records[40:]))
    return VIMH(train, test, small.metadata)


def same(one: SpectralBatch, other: SpectralBatch) -> bool:
    return all(map(torch.equal, one, other))


def test_a_batch_holds_images_labels_and_values(data):
    module = VIMHDataModule(data, batch_size=16)
    batch = next(iter(module.test_dataloader()))
    assert batch.images.shape == (10, 2, 4, 6)
    assert batch.auxiliary.shape == (10, 0)
    assert (batch.labels.dtype, batch.values.dtype) == (torch.int64, torch.float32)
    assert torch.equal(batch.images, torch.from_numpy(data.test.images / np.float32(255)))
    for place, parameter in enumerate(data.parameters):
        assert np.array_equal(batch.labels[:, place], data.test.labels[parameter.name])
        assert np.allclose(batch.values[:, place], data.test.values[parameter.name], rtol=1e-6)


def test_validation_is_carved_from_training_by_seed(data):
    module, again, other = (VIMHDataModule(data, seed=seed) for seed in (0, 0, 1))
    assert len(module.validation_samples) == 8
    both = np.concatenate([module.train_samples, module.validation_samples])
    assert sorted(both) == list(range(40))
    assert np.array_equal(module.validation_samples, again.validation_samples)
    assert not np.array_equal(module.validation_samples, other.validation_samples)


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_the_number_of_workers(folder, workers):
    def passes(n):
        module = VIMHDataModule(
            folder, batch_size=3, auxiliary=("scale", "envelopes"), num_workers=n
        )
        train = module.train_dataloader()
        return [*train, *train, *module.val_dataloader(), *module.test_dataloader()]

    one, other = passes(0), passes(workers)
    assert len(one) == len(other)
    assert all(map(same, one, other))


def test_epochs_have_orders_of_their_own_and_each_sample_once(data):
    loader = VIMHDataModule(data, batch_size=10).train_dataloader()
    first, second = (torch.cat([batch.values for batch in loader]) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort(0).values, second.sort(0).values)


def test_training_and_evaluation_see_a_sample_alike(data):
    module = VIMHDataModule(data, batch_size=32, auxiliary=("scale", "envelopes"))
    in_training = next(iter(module.train_dataloader()))
    order = module.train_order(epoch=0)
    mirrored = VIMH(data.train, VIMHSplit(data.train.records[order], data.train.parameters), {})
    module.data = mirrored  # the training samples as a test part
    assert same(next(iter(module.test_dataloader())), in_training)
    assert same(module.batch(data.train, order), in_training)


def test_auxiliary_inputs_are_standardised_over_what_trains(data):
    module = VIMHDataModule(data, auxiliary=("scale", "envelopes"))
    assert module.n_auxiliary == 2 + 6 + 4 + 2
    features = module.batch(data.train, module.train_samples).auxiliary.double()
    assert torch.allclose(features.mean(0), torch.zeros(14).double(), atol=1e-6)
    assert torch.allclose(features.std(0, unbiased=False), torch.ones(14).double(), atol=1e-6)
    held_out = module.batch(data.train, module.validation_samples).auxiliary
    assert held_out.mean(0).abs().max() > 1e-3


def test_level_and_contrast_tell_loudness_from_shape(data):
    module = VIMHDataModule(data, auxiliary=("scale",))
    before = module.batch(data.test, np.arange(10)).auxiliary
    louder = np.array(data.test.records)
    louder["scale"] += 6.0
    after = module.batch(VIMHSplit(louder, data.test.parameters), np.arange(10)).auxiliary
    assert (after[:, 0] > before[:, 0] + 1).all()
    assert torch.allclose(after[:, 1], before[:, 1], atol=1e-5)


def test_what_images_do_not_tell_of_the_level_stands_out():
    saw = generate_vimh("simple_saw", 256, seed=1)
    module = VIMHDataModule(saw, auxiliary=("scale",))
    features = module.batch(saw.test, np.arange(len(saw.test))).auxiliary.numpy()
    velocity = saw.test.labels["note_velocity"]
    told = [np.corrcoef(column, velocity)[0, 1] ** 2 for column in features.T]
    assert max(told[:2]) < 0.1  # level and contrast: the decay moves them far more
    assert told[2] > 0.5


def test_a_feature_that_does_not_vary_is_zero(data):
    records = np.array(data.train.records)
    records["scale"] = -20.0, 5.0
    constant = VIMH(VIMHSplit(records, data.train.parameters), data.test, {})
    module = VIMHDataModule(constant, auxiliary=("scale",))
    assert not module.batch(constant.train, np.arange(40)).auxiliary.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(batch_size=0), "batch_size 0 must be"),
        (dict(validation_fraction=1.0), "between 0 and 1"),
        (dict(validation_fraction=0.001), "leaves nothing to train or to validate"),
        (dict(auxiliary=("scales",)), "no auxiliary input 'scales'; did you mean scale"),
    ],
)
def test_impossible_options_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        VIMHDataModule(data, **options)


def test_a_set_in_which_nothing_varies_has_nothing_to_learn(data):
    records = make_records(
        data.train.images, np.empty((40, 0), np.uint8), np.array(data.train.scale)
    )
    with pytest.raises(ValueError, match="no parameter varies"):
        VIMHDataModule(VIMH(VIMHSplit(records, ()), VIMHSplit(records, ()), {}))
