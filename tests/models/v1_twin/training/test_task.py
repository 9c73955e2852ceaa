"""What a twin minimises, what is logged, how fast its parts learn."""

from __future__ import annotations

import math

import lightning
import numpy as np
import pytest
import torch

from utils.config import ConfigError, validate_config
from utils.metrics import bits_per_spike
from utils.models.v1_twin.fit import known_rates
from utils.models.v1_twin.losses import twin_loss
from utils.models.v1_twin.regularise import L1
from utils.models.v1_twin.task import (
    TwinTask,
    TwinTrainer,
    learning_rate_share,
    parameter_groups,
)
from utils.splits import VALIDATION
from utils.training import fit_task


def settings(**trainer) -> TwinTrainer:
    return TwinTrainer(**({"device": "cpu", "progress": False} | trainer))


def task_of(model, data, **arguments) -> TwinTask:
    return TwinTask(model, settings(), known_rates(data), **arguments)


def validate(task, loader) -> dict[str, float]:
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    with torch.no_grad():
        trainer.validate(task, loader, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated")
class TestValidation:
    def test_loss_and_score_are_those_of_all_bins_whatever_the_batches(
        self, noise_data, noise_twin
    ):
        found = []
        for sizes in ({"batch_size": 1}, {"batch_size": 5}, {"sequence_bins": 7}):
            data = noise_data(**sizes)
            task = task_of(noise_twin(data), data)
            found.append(validate(task, data.val_dataloader()))
        for other in found[1:]:
            assert other == pytest.approx(found[0], rel=1e-5)
        assert found[0].keys() == {"validation_loss", "validation_bits_per_spike"}
        assert found[0] == pytest.approx(by_hand(noise_data(), noise_twin), rel=1e-4)

    def test_a_cell_without_valid_bins_counts_nowhere(self, noise_data, noise_twin):
        valid = np.ones((600, 3), bool)
        valid[:, 1] = False
        data = noise_data(["a"], valid=valid)
        task = task_of(noise_twin(data), data)
        before = validate(task, data.val_dataloader())
        with torch.no_grad():
            task.network.readouts["a"].bias[1] += 5
        assert validate(task, data.val_dataloader()) == before
        assert all(math.isfinite(value) for value in before.values())

    def test_other_losses_are_scored_by_the_deviance(self, noise_data, noise_twin):
        data = noise_data(["a"])
        task = task_of(noise_twin(data), data, loss="gaussian")
        found = validate(task, data.val_dataloader())
        assert found.keys() == {"validation_loss", task.score_name}
        assert task.score_name == "validation_deviance_explained"


def by_hand(data, noise_twin) -> dict[str, float]:
    """From the whole validation block of each data set in one go."""
    model, losses, scores = noise_twin(data), [], []
    for name, prepared in data.datasets.items():
        part = prepared.gather(prepared.counted_sequences(VALIDATION, 100))
        n_bins = part.mask.shape[1]
        with torch.no_grad():
            rates = model(name, part.stimulus, n_bins=n_bins)
        counts = part.responses[:, -n_bins:]
        losses.append(twin_loss("poisson", rates, counts, part.mask).item())
        flat = [values.flatten(0, 1).numpy() for values in (counts, rates, part.mask)]
        scores.append(bits_per_spike(flat[0], flat[1], data.mean_rates[name], flat[2]))
    score = np.concatenate(scores).mean()
    return {"validation_loss": np.mean(losses), "validation_bits_per_spike": score}


def test_the_loss_is_the_mean_over_the_data_sets_in_the_batch(noise_data, noise_twin):
    data = noise_data()
    task = task_of(noise_twin(data), data)
    batch = next(iter(data.train_dataloader()))
    both, n_sequences = task.losses(batch)
    single = [task.losses({name: part})[0]["loss"] for name, part in batch.items()]
    assert both["loss"].item() == pytest.approx(sum(map(float, map(torch.detach, single))) / 2)
    assert n_sequences == sum(len(part.mask) for part in batch.values())


def test_masks_of_both_shapes_weigh_the_same(noise_data, noise_twin):
    data = noise_data(["a"])
    task = task_of(noise_twin(data), data)
    part = next(iter(data.train_dataloader()))["a"]
    mask = (torch.arange(part.mask.shape[1]) % 3 > 0).float()[None, :, None]
    masks = mask.expand(len(part.mask), -1, 1), mask.expand_as(part.mask)
    narrow, wide = (task.losses({"a": part._replace(mask=m)})[0]["loss"] for m in masks)
    assert narrow.detach() == wide.detach()


def test_penalties_are_part_of_training_alone(noise_data, noise_twin):
    data = noise_data(["a"])
    model = noise_twin(data)
    held = L1(parameters="readouts.*.features", strength=3.0)
    task = task_of(model, data, regularisers=[held])
    task.log = lambda *_, **__: None
    batch = next(iter(data.train_dataloader()))
    with torch.no_grad():
        excess = task.training_step(batch, 0) - task.losses(batch)[0]["loss"]
    expected = 3 * model.readouts["a"].features.detach().abs().sum()
    assert excess.item() == pytest.approx(expected.item(), rel=1e-5)


def test_weights_decay_and_the_core_has_a_rate_of_its_own(noise_data, noise_twin):
    model = noise_twin(noise_data())
    config = settings(learning_rate=1e-2, core_learning_rate=1e-3, weight_decay=0.1)
    groups = parameter_groups(model, config)
    core = {id(values) for values in model.core.parameters()}
    seen = []
    for group in groups:
        for values in group["params"]:
            seen.append(id(values))
            assert group["lr"] == (1e-3 if id(values) in core else 1e-2)
            assert group["weight_decay"] == (0.1 if values.ndim > 1 else 0)
    assert sorted(seen) == sorted(id(values) for values in model.parameters())
    assert len({(g["lr"], g["weight_decay"]) for g in groups}) == len(groups) == 4


def test_learning_rates_follow_their_schedule():
    cosine = settings(max_epochs=10, warm_up_epochs=2)
    shares = [learning_rate_share(cosine, 100, step) for step in (0, 9, 20, 60, 100)]
    assert shares == pytest.approx([1 / 21, 10 / 21, 1, 0.5, 0])
    step = settings(max_epochs=10, schedule="step", drop_epochs=4, drop_factor=0.1)
    shares = [learning_rate_share(step, 100, at) for at in (0, 39, 40, 79, 80, 99)]
    assert shares == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    constant = settings(schedule="constant")
    assert {learning_rate_share(constant, 100, step) for step in (0, 50, 99)} == {1.0}


def test_a_plateau_lowers_the_learning_rates(noise_data, noise_twin, tmp_path):
    data = noise_data(["a"], n_trials=6)
    config = settings(
        schedule="plateau", drop_epochs=1, max_epochs=6, learning_rate=1e-7, patience=50
    )
    task = TwinTask(noise_twin(data), config, known_rates(data))
    fit_task(task, data.train_dataloader(), data.val_dataloader(), config, folder=tmp_path)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    rates = {group["lr"] for group in last["optimizer_states"][0]["param_groups"]}
    assert max(rates) < 1e-7 * 0.31


def test_a_plateau_has_no_warm_up():
    wrong = {"schedule": "plateau", "warm_up_epochs": 1}
    with pytest.raises(ConfigError, match="warm_up_epochs must be 0"):
        validate_config(TwinTrainer, wrong, "trainer")
