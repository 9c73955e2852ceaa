"""Training: all losses and front ends learn, the best epoch is kept, no test sample is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.config import validate_config
from utils.datasets.vimh import VIMH, VIMHDataModule, VIMHSplit, generate_vimh
from utils.models.spectral import SpectralConfig, fit_spectral

DECAY = "log10_decay_time"
LOSSES = ("cross_entropy", "ordinal", "quantised", "weighted", "regression", "soft")


def config(**settings) -> SpectralConfig:
    trainer = {"max_epochs": 25, "learning_rate": 0.01, "progress": False, "device": "cpu"}
    trainer |= settings.pop("trainer", {})
    small = {"network": {"type": "cnn", "size": "micro"}, "trainer": trainer}
    return validate_config(SpectralConfig, small | settings, "test")


def guess(part: VIMHSplit) -> float:
    """Mean distance of the decay from its median, dex."""
    values = part.values[DECAY]
    return float(np.abs(values - np.median(values)).mean())


def error(model, data: VIMHDataModule) -> float:
    """Mean distance of predicted from true decay on the test part, dex."""
    said = model.predict(data.test_dataloader())[DECAY]
    return float(np.abs(said.values - data.data.test.values[DECAY]).mean())


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns_the_decay(images, saw, loss):
    model, training = fit_spectral(config(loss={"type": loss}), images)
    assert training.best_loss < training.curves["validation_loss"][0]
    assert error(model, images) < 0.6 * guess(saw.test)


@pytest.mark.parametrize("compression", ["log", "pcen"])
def test_learned_filters_are_trained_with_the_network(sounds, saw, compression):
    front_end = {"type": "leaf", "compression": compression}
    model, _ = fit_spectral(config(front_end=front_end, network={"type": "cnn"}), sounds)
    bins = torch.arange(1, 33)
    assert (model.front_end.filters.frequency - bins).abs().max() > 1e-3
    assert model.front_end.filters.narrowing.abs().max() > 1e-3
    assert error(model, sounds) < 0.6 * guess(saw.test)


def test_the_stft_of_sounds_and_their_images_give_the_same_model(images, sounds):
    by_sound, _ = fit_spectral(
        config(front_end={"type": "stft"}, trainer={"max_epochs": 1}), sounds
    )
    by_image, _ = fit_spectral(config(trainer={"max_epochs": 1}), images)
    heard, seen = (
        by_sound.predict(sounds.test_dataloader()),
        by_image.predict(images.test_dataloader()),
    )
    assert np.allclose(heard[DECAY].probabilities, seen[DECAY].probabilities, atol=0.02)


def test_the_best_epoch_is_kept(images):
    diverges = {"max_epochs": 4, "schedule": "constant", "learning_rate": 0.3}
    model, training = fit_spectral(config(trainer=diverges), images)
    total = n = 0
    with torch.no_grad():
        for batch in images.val_dataloader():
            total += float(model.losses(batch)["loss"]) * len(batch.images)
            n += len(batch.images)
    assert total / n == pytest.approx(training.curves["validation_loss"].min(), rel=1e-4)
    assert not model.training


def test_the_total_and_each_head_are_logged(images):
    _, training = fit_spectral(config(trainer={"max_epochs": 1}, head_weights={DECAY: 0.5}), images)
    row = training.curves.iloc[0]
    for stage in ("train", "validation"):
        velocity, decay = (row[f"{stage}_loss_{name}"] for name in ("note_velocity", DECAY))
        assert row[f"{stage}_loss"] == pytest.approx(velocity + 0.5 * decay, rel=1e-4)


def test_no_test_sample_is_seen_in_training(saw):
    hidden = VIMH(saw.train, VIMHSplit(saw.test.records[:0], saw.train.parameters), saw.metadata)
    short = config(trainer={"max_epochs": 1})
    with_test, without = (
        fit_spectral(short, VIMHDataModule(data, batch_size=16)).model for data in (saw, hidden)
    )
    one, other = with_test.state_dict(), without.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_same_seed_gives_the_same_model(saw):
    def weights(seed: int) -> torch.Tensor:
        short = config(trainer={"max_epochs": 1, "seed": seed})
        return fit_spectral(short, VIMHDataModule(saw)).model.out[1].weight

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_velocity_is_learned_from_the_level_and_not_from_images():
    saw = generate_vimh("simple_saw", 256, seed=3)
    accuracies = []
    for auxiliary in ((), ("scale",)):
        data = VIMHDataModule(saw, batch_size=16, auxiliary=auxiliary)
        said = fit_spectral(config(), data).model.predict(data.test_dataloader())["note_velocity"]
        accuracies.append(np.mean(said.classes == saw.test.labels["note_velocity"]))
    assert accuracies[0] < 0.6
    assert accuracies[1] > 0.9


def test_an_interrupted_training_goes_on(images, tmp_path):
    whole, _ = fit_spectral(config(trainer={"max_epochs": 2}), images)
    steps = {"max_epochs": 2, "max_steps": len(images.train_dataloader())}
    fit_spectral(config(trainer=steps), images, folder=tmp_path)
    resumed, training = fit_spectral(
        config(trainer={"max_epochs": 2}), images, folder=tmp_path, resume=True
    )
    assert training.epochs == 2
    for one, other in zip(whole.parameters(), resumed.parameters()):
        assert torch.allclose(one, other, atol=1e-6)
