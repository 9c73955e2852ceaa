"""Training twins: what is learnt, kept and gone on with."""

from __future__ import annotations

import lightning
import pytest
import torch

from utils.models.v1_twin.experiment import TwinTraining
from utils.models.v1_twin.fit import fit_twin, start_readouts
from utils.models.v1_twin.store import load_model
from utils.models.v1_twin.task import TwinTrainer


def settings(regularisers=(), start="mean_rates", **trainer) -> TwinTraining:
    usual = {"device": "cpu", "progress": False, "max_epochs": 4, "learning_rate": 0.02}
    return TwinTraining(
        trainer=TwinTrainer(**(usual | trainer)), regularisers=regularisers, start=start
    )


def weights_of(model) -> list[torch.Tensor]:
    return [values.detach().clone() for values in model.state_dict().values()]


class Kill(lightning.Callback):
    """Ends the process in the middle of an epoch."""

    def on_train_batch_end(self, trainer, *_):
        if trainer.current_epoch == 2:
            raise RuntimeError("killed")


def test_training_finds_what_drives_the_cells(noise_data, noise_twin):
    data = noise_data(n_trials=40)
    model = noise_twin(data)
    result = fit_twin(model, data, settings(start="features", max_epochs=6))
    scores = result.curves["validation_bits_per_spike"]
    assert scores.iloc[-1] > 0.25
    assert not model.training
    assert model.trained_on.datasets == tuple(data.configs)


def test_resuming_after_a_kill_gives_the_same_weights(noise_data, noise_twin, tmp_path):
    data, training = noise_data(n_trials=10), settings(schedule="cosine", warm_up_epochs=1)
    whole, killed, resumed = noise_twin(data), noise_twin(data), noise_twin(data)
    fit_twin(whole, data, training, folder=tmp_path / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        fit_twin(killed, data, training, folder=tmp_path / "killed", callbacks=[Kill()])
    result = fit_twin(resumed, data, training, folder=tmp_path / "killed", resume=True)
    assert result.curves["epoch"].tolist() == [0, 1, 2, 3]
    last = [tmp_path / name / "checkpoints" / "last.ckpt" for name in ("whole", "killed")]
    torch.testing.assert_close(*(weights_of(load_model(path)) for path in last), rtol=0, atol=0)
    torch.testing.assert_close(weights_of(resumed), weights_of(whole), rtol=0, atol=0)


def test_half_precision_learns_the_same(noise_data, noise_twin):
    data = noise_data(["a"], n_trials=10)
    losses = []
    for precision in ("32-true", "bf16-mixed"):
        model = noise_twin(data, recurrent={"type": "convgru", "channels": 4})
        result = fit_twin(model, data, settings(precision=precision, max_epochs=3))
        assert all(values.dtype == torch.float32 for values in model.parameters())
        losses.append(result.curves["validation_loss"].to_numpy())
    assert losses[1] == pytest.approx(losses[0], abs=0.01)


def test_the_best_three_by_score_and_the_last_are_kept(noise_data, noise_twin, tmp_path):
    data = noise_data(["a"], n_trials=10)
    model = noise_twin(data)
    result = fit_twin(model, data, settings(max_epochs=5, learning_rate=0.5), folder=tmp_path)
    scores = result.curves["validation_bits_per_spike"]
    files = {path.name: path for path in (tmp_path / "checkpoints").iterdir()}
    best = scores.nlargest(3)
    expected = {f"epoch={e}-validation_bits_per_spike={s:.4f}.ckpt" for e, s in best.items()}
    assert files.keys() == expected | {"best.ckpt", "last.ckpt"}
    found = load_model(files["best.ckpt"])
    torch.testing.assert_close(weights_of(found), weights_of(model), rtol=0, atol=0)
    assert found.trained_on == model.trained_on


def test_any_number_of_workers_trains_the_same(noise_data, noise_twin):
    trained = []
    for num_workers in (0, 1, 2):
        data = noise_data(n_trials=8, num_workers=num_workers)
        model = noise_twin(data)
        fit_twin(model, data, settings(max_epochs=2))
        trained.append(weights_of(model))
    for other in trained[1:]:
        torch.testing.assert_close(other, trained[0], rtol=0, atol=0)


def test_regularisers_act_in_their_epochs(noise_data, noise_twin, tmp_path):
    data = noise_data(["a"], n_trials=8)
    narrow = {
        "type": "clamp", "parameters": "readouts.*.std", "upper": [0.5, 0.3], "ramp_epochs": 2,
    }  # fmt: skip
    zeros = {
        "type": "proximal_l1", "parameters": "readouts.*.features", "strength": 1e9,
        "from_epoch": 2,
    }  # fmt: skip
    for max_epochs, bound in ((1, 0.5), (3, 0.3)):
        training = settings([narrow, zeros], max_epochs=max_epochs, schedule="constant")
        fit_twin(noise_twin(data), data, training, folder=tmp_path)
        readout = load_model(tmp_path / "checkpoints" / "last.ckpt").readouts["a"]
        assert readout.std.max().item() == pytest.approx(bound)
        assert (readout.features == 0).all() == (max_epochs == 3)


@pytest.mark.parametrize("start", ["mean_rates", "features"])
def test_a_start_is_no_worse_than_the_mean_rate(noise_data, noise_twin, start):
    data = noise_data()
    model = noise_twin(data)
    start_readouts(model, data, settings(start=start))
    for name, rates in data.mean_rates.items():
        batch = next(iter(data.train_dataloader()))[name]
        with torch.no_grad():
            found = model(name, batch.stimulus, n_bins=batch.mask.shape[1])
        assert found.mean((0, 1)).numpy() == pytest.approx(rates, rel=0.5)
