"""One model for several sessions: shared core, embeddings apart, fine-tuning, saving."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from tests.models.forecasting.conftest import QUICK, quick
from utils.models.forecasting import DataMismatchError, load_model
from utils.splits import TEST
from utils.training import TrainerConfig
from utils.windows import SessionsLoader, WindowLoader, window_data

TRAINED = {**QUICK, "max_epochs": 4, "stride": 2}


def recording(seed, n_neurons, context=24, rate=5.0, frames=2000, **extra):
    """Two slow latents with the same dynamics in each session, other neurons."""
    rng = np.random.default_rng(seed)
    drive = rng.standard_normal((frames, 2))
    latents = np.column_stack(
        [lfilter([1], [1, -a], drive[:, k]) for k, a in enumerate((0.97, 0.8))]
    )
    latents /= latents.std(axis=0)
    values = latents @ rng.standard_normal((2, n_neurons)) + rng.standard_normal(
        (frames, n_neurons)
    )
    return window_data(
        values.astype(np.float32), np.arange(frames) / rate, context, 6, source="simulated", **extra
    )


def network(**settings):
    trainer = {**TRAINED, **settings.pop("trainer", {})}
    return quick("population_network", trainer=trainer, latents=2, memories=4, hidden=8, **settings)


def r2(model, data):
    batch = data.test.batch(torch.arange(0, len(data.test), 2))
    error = (model.predict(batch.past) - batch.future).square().mean()
    mean = quick("train_mean").fit(data).predict(batch.past)
    return 1 - float(error / (mean - batch.future).square().mean())


@pytest.fixture(scope="module")
def sessions():
    return [recording(0, 12), recording(1, 9)]


@pytest.fixture(scope="module")
def together(sessions):
    return network().fit(sessions)


def test_one_session_in_a_list_is_plain_training(sessions):
    data = sessions[0]
    alone, listed = network().fit(data), network().fit([data])
    past = data.test.batch([0, 9]).past
    torch.testing.assert_close(alone.predict(past), listed.predict(past), rtol=0, atol=0)
    assert listed.sessions == [listed]


def test_sessions_share_the_core_and_keep_their_own_neurons(sessions, together):
    first, second = together.sessions
    assert first is together
    assert first.network.shared is second.network.shared
    assert first.network.embeddings.shape == (12, 4)
    assert second.network.embeddings.shape == (9, 4)
    assert not torch.equal(first.network.turn_in, second.network.turn_in)
    assert not torch.equal(first.network.session, second.network.session)
    for data in sessions:
        own = together.for_session(data)
        assert own.fitted_on.content_hash == data.content_hash
        assert own.predict(data.test.batch([0]).past).shape == (1, 6, data.n_neurons)
        assert r2(own, data) > 0.1


def test_order_of_sessions_does_not_matter_for_quality_and_the_seed_for_nothing(sessions, together):
    again, turned = network().fit(sessions), network().fit(sessions[::-1])
    for data in sessions:
        past = data.test.batch([3]).past
        assert torch.equal(
            together.for_session(data).predict(past), again.for_session(data).predict(past)
        )
        scores = [r2(model.for_session(data), data) for model in (together, turned)]
        assert scores[0] == pytest.approx(scores[1], abs=0.02)


def test_sessions_are_told_apart_by_content_then_by_neurons(sessions, together):
    shorter = sessions[1].last_training(3.0)
    assert together.for_session(shorter) is together.sessions[1]
    twins = network().fit([recording(2, 5), recording(3, 5)])
    with pytest.raises(DataMismatchError, match=r"2 of the 2 sessions .* uuid"):
        twins.for_session(recording(4, 5))
    with pytest.raises(DataMismatchError, match="none of the 2 sessions"):
        twins.for_session(sessions[0])


@pytest.mark.parametrize(
    ("other", "settings", "named"),
    [
        (dict(context=20), {}, "context: expected 24, found 20"),
        (dict(rate=6.0), {}, "frame_rate"),
        (
            dict(covariates=np.zeros((2000, 1)), covariate_names=["pupil"]),
            {"covariates": True},
            r"covariates: expected \[\], found \['pupil'\]",
        ),
    ],
)
def test_sessions_that_cannot_share_weights_are_refused(sessions, other, settings, named):
    with pytest.raises(DataMismatchError, match=named):
        network(**settings).fit([sessions[0], recording(1, 9, **other)])


def test_nothing_to_fit_on_is_refused():
    with pytest.raises(DataMismatchError, match="no session"):
        network().fit([])
    with pytest.raises(TypeError, match="WindowData"):
        network().fit([1, 2])


def test_rates_that_are_nearly_equal_are_accepted(sessions):
    model = network(trainer={"max_epochs": 1}).fit([sessions[0], recording(1, 4, rate=5.1)])
    assert len(model.sessions) == 2


def test_all_sessions_are_saved_and_share_one_core_again(sessions, together, tmp_path):
    together.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert len(loaded.sessions) == 2
    assert loaded.sessions[0].network.shared is loaded.sessions[1].network.shared
    for data in sessions:
        past = data.test.batch([0, 4]).past
        expected = together.for_session(data).predict(past)
        assert torch.equal(loaded.for_session(data).predict(past), expected)


def test_a_saved_model_that_lost_a_session_is_refused(together, tmp_path):
    folder = together.save(tmp_path / "model")
    shutil.rmtree(folder / "sessions")
    with pytest.raises(ValueError, match="expected 1 sessions"):
        load_model(folder)


def test_fine_tuning_with_a_frozen_core_changes_the_session_alone(sessions, together):
    new = recording(7, 15)
    before = {k: v.clone() for k, v in together.network.state_dict().items()}
    tuned = together.fine_tune(new, minutes=2.0)
    for name, value in tuned.network.shared.state_dict().items():
        assert torch.equal(value, before[f"shared.{name}"]), name
    for name, value in together.network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not torch.equal(tuned.network.turn_in, torch.eye(2))
    assert r2(tuned, new) > 0.1


def test_fine_tuning_all_weights_leaves_the_model_it_starts_from(together):
    new = recording(7, 15)
    before = together.network.shared.out.weight.clone()
    tuned = together.fine_tune(new, freeze_core=False)
    assert not torch.equal(tuned.network.shared.out.weight, before)
    assert torch.equal(together.network.shared.out.weight, before)


def test_a_new_session_helps_itself_with_what_others_taught(together):
    """A few seconds of training data: the core knows the dynamics, scratch does not."""
    new = recording(8, 15)
    short = new.last_training(0.75)
    scratch = network().fit(short)
    assert r2(together.fine_tune(short), new) > r2(scratch, new) + 0.02


def test_fine_tuning_refuses_other_windows_and_too_few_minutes(together):
    with pytest.raises(DataMismatchError, match="context: expected 24, found 20"):
        together.fine_tune(recording(1, 9, context=20))
    with pytest.raises(
        ValueError, match=r"no window of 30 frames at 5\.00 Hz; give at least 0\.10"
    ):
        together.fine_tune(recording(1, 9), minutes=0.05)


def test_last_training_keeps_the_end_of_the_block_and_all_else(sessions):
    data = sessions[0]
    short = data.last_training(2.0)
    end = data.train.segments[0, 1]
    assert short.train.segments.tolist() == [[end - 600, end]]
    assert torch.equal(short.test.starts, data.test.starts)
    assert torch.equal(short.validation.starts, data.validation.starts)
    assert short.content_hash != data.content_hash
    assert data.last_training(1e6).train.n_frames == data.train.n_frames


@pytest.mark.parametrize("reach_back", [False, True])
def test_fine_tuning_on_minutes_knows_nothing_of_the_training_before_them(together, reach_back):
    new, changed = (recording(7, 15, reach_back=reach_back) for _ in range(2))
    end = new.train.segments[0, 1]
    changed.activity[: end - 600] = 50 - 3 * changed.activity[: end - 600]
    past = new.test.batch([0, 50]).past
    first, second = (
        together.fine_tune(data, minutes=2.0, freeze_core=False).predict(past)
        for data in (new, changed)
    )
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_the_test_blocks_of_several_sessions_change_nothing(sessions, together):
    changed = [recording(0, 12), recording(1, 9)]
    for data in changed:
        data.activity[data.split == TEST] += 50.0
    again = network().fit(changed)
    for one, other, data in zip(together.sessions, again.sessions, sessions):
        past = data.test.batch([0, 50]).past
        torch.testing.assert_close(one.predict(past), other.predict(past), rtol=0, atol=0)


def test_an_epoch_visits_each_window_of_all_sessions_once_and_mixes_them(sessions):
    def loader(seed=3):
        parts = [WindowLoader(d.train, 64, shuffle=True, seed=seed) for d in sessions]
        return SessionsLoader(parts, seed)

    batches = list(loader())
    assert len(batches) == len(loader())
    for place, data in enumerate(sessions):
        starts = torch.cat([batch.starts for where, batch in batches if where == place])
        assert torch.equal(starts.sort().values, data.train.starts)
    places = [place for place, _ in batches]
    assert places != sorted(places)
    assert places == [place for place, _ in loader()]
    resumed = loader()
    resumed.set_epoch(1)
    second = loader()
    list(second)
    for (place, batch), (other, same) in zip(second, resumed):
        assert place == other
        assert torch.equal(batch.starts, same.starts)


def test_validation_batches_come_session_by_session(sessions):
    parts = [WindowLoader(data.validation, 32) for data in sessions]
    places = [place for place, _ in SessionsLoader(parts)]
    assert places == sorted(places)
    assert set(places) == {0, 1}


def test_training_is_the_same_object_for_all_sessions(together):
    assert together.sessions[0].training is together.sessions[1].training
    assert together.training.epochs <= TrainerConfig(**TRAINED).max_epochs
