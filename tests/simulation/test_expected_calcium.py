"""Expected calcium of a simulated session: against brute force, and against what came."""

from __future__ import annotations

import numpy as np
import pytest

from utils.paths import one_cache_dir
from utils.simulation import load_truth
from utils.simulation.calcium import INDICATORS, calcium_response, saturate
from utils.simulation.expected_calcium import ExpectedCalcium, _CoupledAreas
from utils.simulation.latents import COUPLING_DELAY, draw_coupling
from utils.simulation.timeline import FINE_STEP, STEPS_PER_FRAME


@pytest.fixture(scope="module")
def truth(tiny_session):
    root, _ = tiny_session
    assert root == one_cache_dir()
    [path] = root.glob("simulation/Subjects/SIM-2x12-8min-s0/*/*")
    return load_truth(path)


@pytest.fixture(scope="module")
def cells(truth):
    """Field of view and ROI of some cells, in mixed order."""
    first, second = truth["FOV_00/cells"], truth["FOV_01/cells"]
    return ["FOV_01", "FOV_00", "FOV_01", "FOV_00"], [second[3], first[0], second[1], first[7]]


@pytest.fixture(scope="module")
def expected(truth, cells):
    return ExpectedCalcium(truth, *cells)


def per_cell(truth, name):
    """Columns of the truth in the order of ``cells``."""
    first, second = truth[f"FOV_00/{name}"], truth[f"FOV_01/{name}"]
    return np.column_stack([second[:, 3], first[:, 0], second[:, 1], first[:, 7]])


def amplitudes(truth, cells):
    return np.array([truth[f"{fov}/amplitude"][roi] for fov, roi in zip(*cells)])


@pytest.mark.parametrize("phase", range(STEPS_PER_FRAME))
def test_known_calcium_is_the_response_to_the_spikes_so_far(truth, cells, expected, phase):
    now = 900 * STEPS_PER_FRAME + phase
    ahead = np.array([0, 1, 5, 40])
    fine = np.repeat(per_cell(truth, "spikes")[:1000].T / STEPS_PER_FRAME, STEPS_PER_FRAME, axis=1)
    fine[:, now + 1 :] = 0
    response = calcium_response(fine, INDICATORS["GCaMP6s"])[:, now + ahead]
    whole = saturate(amplitudes(truth, cells)[:, None] * response).T
    found = expected.known(np.array([now]), ahead[None])[0]
    assert whole.max() > 0.1
    np.testing.assert_allclose(found, whole, atol=1e-4)


def test_new_calcium_is_the_response_to_the_expected_rates(truth, cells, expected):
    now = np.array([903 * STEPS_PER_FRAME + 2, 700 * STEPS_PER_FRAME])
    ahead = np.array([[4, 8, 30], [4, 8, 30]])
    known, new = expected.known_and_new(now, ahead)
    for row, (bin_, phase) in enumerate(zip(*np.divmod(now, STEPS_PER_FRAME))):
        rates = expected.expected_rates(np.array([bin_]), 12)[0].T  # (cell, bin)
        fine = np.repeat(rates, STEPS_PER_FRAME, axis=1) * FINE_STEP
        fine[:, : phase + 1] = 0
        response = calcium_response(fine, INDICATORS["GCaMP6s"])[:, phase + ahead[row]]
        amplitude = amplitudes(truth, cells)[:, None]
        before = known[row].T / (1 - known[row].T / 10)  # undo the saturation
        whole = saturate(before + amplitude * response).T
        np.testing.assert_allclose(known[row] + new[row], whole, rtol=1e-3, atol=1e-4)
    assert (new > 0).all()


def test_present_rates_are_the_true_ones(truth, expected):
    bins = np.arange(0, 2000, 7)
    found = expected.expected_rates(bins, 1)[:, 0]
    np.testing.assert_allclose(found, per_cell(truth, "rates")[bins], rtol=1e-3)


def test_expected_rates_are_what_comes_on_average(truth):
    fovs = np.repeat(["FOV_00", "FOV_01"], 12)
    rois = np.concatenate([truth["FOV_00/cells"], truth["FOV_01/cells"]])
    every = ExpectedCalcium(truth, fovs, rois)
    bins = np.arange(300, len(truth["times"]) - 20)
    guessed = every.expected_rates(bins, 11)
    rates = np.hstack([truth["FOV_00/rates"], truth["FOV_01/rates"]])
    for ahead in (1, 3, 10):
        came, guess = rates[bins + ahead], guessed[:, ahead]
        assert guess.mean() == pytest.approx(came.mean(), rel=0.2)
        slope = np.cov(guess.ravel(), came.ravel())[0, 1] / guess.var()
        assert slope == pytest.approx(1, abs=0.2)
        base = np.square(came - came.mean(axis=0)).mean()
        assert np.square(came - guess).mean() < base


def test_coupled_areas_move_as_in_the_simulation():
    rng = np.random.default_rng(0)
    coupling, tau, n_runs = draw_coupling(rng), 1.5, 4000
    decay, n = np.exp(-FINE_STEP / tau), len(coupling)
    areas = _CoupledAreas(coupling, tau)
    slope = rng.standard_normal((2, n))  # now, and one bin before; a line between them
    runs = [np.tile(slope[0] + (slope[1] - slope[0]) * lag / 4, (n_runs, 1)) for lag in (2, 1, 0)]
    steps = [0, 3, 10]
    from_now, from_last, variance = areas.moments(steps)
    for step in range(1, steps[-1] + 1):
        drive = runs[-1 - COUPLING_DELAY] @ coupling.T
        noise = np.sqrt(1 - decay**2) * rng.standard_normal((n_runs, n))
        runs.append(decay * runs[-1] + (1 - decay) * drive + noise)
        if step in steps:
            which = steps.index(step)
            mean = from_now[which] @ slope[0] + from_last[which] @ slope[1]
            np.testing.assert_allclose(runs[-1].mean(axis=0), mean, atol=0.06)
            np.testing.assert_allclose(runs[-1].var(axis=0), variance[which], rtol=0.12)
    np.testing.assert_allclose(from_now[0], np.eye(n))
    assert variance[0].tolist() == [0] * n
    assert (areas.stationary > variance[2]).all()


def test_unknown_cells_are_refused(truth):
    with pytest.raises(ValueError, match="no field of view 'FOV_09'"):
        ExpectedCalcium(truth, ["FOV_09"], [0])
    with pytest.raises(ValueError, match="ROI 9999 of FOV_00 is no cell"):
        ExpectedCalcium(truth, ["FOV_00"], [9999])
