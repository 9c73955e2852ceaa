"""The trainer: best is best, resuming continues, logs are readable, devices are named."""

from __future__ import annotations

from pathlib import Path

import lightning
import pandas as pd
import pytest
import torch
from torch import nn

from utils.config import ConfigError, load_config
from utils.training import (
    TrainerConfig,
    TrainingError,
    TrainingTask,
    choose_device,
    fit_task,
    read_curves,
)
from utils.training.config import choose_precision
from utils.training.task import MONITOR

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other

TARGET = 3.0


def settings(**changes) -> TrainerConfig:
    return TrainerConfig(
        **{"device": "cpu", "progress": False, "schedule": "constant", "patience": 100, **changes}
    )


class Line(TrainingTask):
    """One weight that should become TARGET."""

    def losses(self, batch):
        prediction = self.network(batch)
        return {"loss": (prediction - TARGET * batch).square().mean()}, len(batch)


class Batches(list):
    """Batches that count how often they were asked for."""


def line(config: TrainerConfig, **changes) -> Line:
    torch.manual_seed(0)
    return Line(nn.Linear(1, 1), config, **changes)


DATA = Batches(torch.randn(4, 8, 1, generator=torch.Generator().manual_seed(0)))


def test_best_checkpoint_is_the_best_epoch(tmp_path):
    """A learning rate so large that later epochs are worse."""
    config = settings(learning_rate=2.0, max_epochs=12)
    task = line(config)
    result = fit_task(task, DATA, DATA, config, folder=tmp_path)
    curve = result.curves[MONITOR]
    assert curve.idxmin() != len(curve) - 1, "the last epoch must not be the best in this test"
    assert result.best_epoch == curve.idxmin()
    assert result.best_loss == pytest.approx(curve.min(), rel=1e-5)
    with torch.no_grad():
        loss = sum(task.losses(batch)[0]["loss"].item() for batch in DATA) / len(DATA)
    assert loss == pytest.approx(result.best_loss, rel=1e-4)


class Counter(lightning.Callback):
    """Counts the epochs."""

    epochs = 0

    def on_train_epoch_end(self, *_):
        self.epochs += 1


@pytest.mark.parametrize("kept", [True, False])
def test_callbacks_of_the_caller_run_beside_the_usual_ones(tmp_path, kept):
    config, counter = settings(max_epochs=3), Counter()
    folder = tmp_path if kept else None
    result = fit_task(line(config), DATA, DATA, config, folder=folder, callbacks=[counter])
    assert counter.epochs == result.epochs == 3


def test_last_and_best_are_kept_with_logs(tmp_path):
    config = settings(max_epochs=3)
    fit_task(line(config), DATA, DATA, config, folder=tmp_path)
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"best.ckpt", "last.ckpt"}
    assert len(read_curves(tmp_path)) == 3
    assert list(tmp_path.glob("events.out.tfevents*"))
    for name in names:
        torch.load(tmp_path / "checkpoints" / name, weights_only=True)


def test_the_last_checkpoint_is_that_of_the_last_epoch_also_when_it_is_not_better(tmp_path):
    config = settings(learning_rate=2.0, max_epochs=12)
    result = fit_task(line(config), DATA, DATA, config, folder=tmp_path)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert result.best_epoch < last["epoch"] == 11
    assert result.epochs == 12


def test_resumed_training_goes_on_where_it_stopped(tmp_path):
    long, short = settings(max_epochs=5), settings(max_epochs=2)
    whole = line(long)
    fit_task(whole, DATA, DATA, long)
    fit_task(line(short), DATA, DATA, short, folder=tmp_path)
    resumed = line(long)
    result = fit_task(resumed, DATA, DATA, long, folder=tmp_path, resume=True)
    assert (result.epochs, result.steps) == (5, 20)
    assert result.curves["epoch"].tolist() == [0, 1, 2, 3, 4]
    torch.testing.assert_close(resumed.network.weight, whole.network.weight)


def test_stops_when_validation_does_not_improve(tmp_path):
    config = settings(learning_rate=1e-12, max_epochs=50, patience=2)
    assert fit_task(line(config), DATA, DATA, config).epochs <= 5


def test_limits_of_steps_and_time():
    config = settings(max_epochs=1000, max_steps=6)
    assert fit_task(line(config), DATA, DATA, config).steps == 6
    config = settings(max_epochs=100_000, max_minutes=0.02)
    assert fit_task(line(config), DATA, DATA, config).epochs < 100_000


@pytest.mark.parametrize("limit", [{"max_steps": 2}, {"max_minutes": 1e-6}])
def test_limits_within_the_first_epoch_leave_a_validated_model(limit):
    result = fit_task(line(settings(**limit)), DATA, DATA, settings(**limit))
    assert 0 < result.steps <= 2
    assert result.best_loss > 0


def test_nothing_is_left_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = settings(max_epochs=1)
    fit_task(line(config), DATA, DATA, config)
    assert not list(Path.cwd().iterdir())


def test_progress_shows_the_losses_only(capfd):
    config = settings(max_epochs=2, progress=True)
    fit_task(line(config), DATA, DATA, config)
    shown = capfd.readouterr()
    assert "validation_loss=" in shown.err + shown.out
    assert "v_num" not in shown.err + shown.out


def test_useless_input_is_explained(tmp_path):
    config = settings(max_epochs=1)
    with pytest.raises(TrainingError, match="at least one training and one validation batch"):
        fit_task(line(config), [], DATA, config)
    broken = Batches(batch * torch.inf for batch in DATA)
    with pytest.raises(TrainingError, match="never finite"):
        fit_task(line(config), broken, broken, config)


def test_device_is_chosen_or_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device() == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device() == choose_device("cpu") == "cpu"
    with pytest.raises(ValueError, match="'cuda' is not available here"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert choose_device() == "cuda"
    assert choose_precision("auto", "cuda") == "bf16-mixed"
    assert choose_precision("auto", "cpu") == "32-true"
    assert choose_precision("32-true", "cuda") == "32-true"


@pytest.mark.parametrize("name", ["default", "quick"])
def test_trainer_files_are_valid(name):
    load_config(f"trainer/{name}", schema=TrainerConfig)


def test_wrong_trainer_keys_are_named():
    with pytest.raises(ConfigError, match="max_epoch"):
        load_config("trainer/default", ["max_epoch=3"], TrainerConfig)
    with pytest.raises(ConfigError, match="device"):
        load_config("trainer/default", ["device=tpu"], TrainerConfig)


def test_curves_have_one_row_per_epoch(tmp_path):
    """Also when the training was interrupted in its eleventh attempt."""
    for version, loss in ((2, 9.0), (10, 1.0)):
        folder = tmp_path / "curves" / f"version_{version}"
        folder.mkdir(parents=True)
        rows = {"epoch": [0, 0], "step": 1, "train_loss": [loss, None], MONITOR: [None, 2.0]}
        pd.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
    curves = read_curves(tmp_path).to_dict("list")
    assert curves == {"epoch": [0], "train_loss": [1.0], MONITOR: [2.0]}
