"""What the truth of a simulated session says about the calcium to come.

Given the spikes, rates and latents up to one bin of the truth's clock, the calcium at a later
time is that of the spikes so far, decayed, and that of spikes to come, whose expected number is
the expected rate. A rate is the exponential of a sum of latents, so its expectation follows from
their conditional mean and variance.

Approximations: the truth holds spike counts per bin of four fine steps, here spread evenly over
the bin; rates and latents are those of the bin that "now" lies in; each event's trace returns to
its mean over the last minute; what the rate has beside latents and events (private fluctuation,
visual drive) returns, with the time constant of the private fluctuation, to the level at which
the rates of the last minute come out right; expectations are taken before the indicator
saturates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.linalg import solve_discrete_lyapunov
from scipy.signal import lfilter

from utils.simulation.calcium import INDICATORS, RISE, saturate
from utils.simulation.latents import AREA_TAUS, COUPLING_DELAY, EVENTS, SHARED_TAUS
from utils.simulation.neurons import MAX_RATE, PRIVATE_TAU
from utils.simulation.timeline import FINE_STEP, STEPS_PER_FRAME
from utils.simulation.truth import Truth

AROUSAL_PARTS = {60.0: 0.6, 5.0: 0.4}  # correlation times (s) and variances
EVENT_TAUS = np.array([0.15, 0.3, 0.2, 0.8, 0.8])  # s, of all events but arousal
USUAL_TAU = 60.0  # s, over which the usual level is taken
_MIDDLE = STEPS_PER_FRAME // 2  # fine steps from the start of a bin to its middle
_LOWEST_RATE = 1e-6  # Hz, for logarithms


class ExpectedCalcium:
    """Saturated calcium of some cells of a simulated session, known and expected.

    "Now" is a step of the simulation's fine clock, four per bin of the truth. Holds four float32
    arrays and one of bytes of (bin of the truth, cell).

    Parameters
    ----------
    truth : of the session.
    fovs, rois : (cell,) field of view, such as ``"FOV_00"``, and ROI of each cell.

    Raises
    ------
    ValueError
        A field of view, or a cell, that the truth does not know.
    """

    def __init__(self, truth: Truth, fovs: Sequence[str], rois: Sequence[int]) -> None:
        self._cells = _cells_of(truth, np.asarray(fovs).astype(str), np.asarray(rois, int))
        self.n_steps = len(truth["times"]) * STEPS_PER_FRAME
        self._latents = _LatentForecast(truth)
        self._weights = self._latents.weights(self._cells)  # (latent, cell)
        tau = INDICATORS[truth.settings["indicator"]]
        slow = np.exp(-FINE_STEP / tau)
        self._decays = slow, slow * np.exp(-FINE_STEP / RISE)
        self._spikes = _per_cell(truth, self._cells, "spikes")
        self._traces = [_spread_trace(self._spikes, decay) for decay in self._decays]
        self._rest = self._unexplained(_per_cell(truth, self._cells, "rates"))
        self._usual_rest = self._usual_unexplained()

    def known(self, now: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """dF/F that the spikes up to ``now`` leave some fine steps ahead.

        Parameters
        ----------
        now : (batch,) fine steps.
        ahead : (batch, time) fine steps from now, 0 or more.

        Returns
        -------
        (batch, time, cell) float32, saturated.
        """
        return saturate(self._amplitude * self._remaining(now, ahead))

    def known_and_new(self, now: np.ndarray, ahead: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`known`, and what spikes after now are expected to add to it."""
        calcium = self._remaining(now, ahead)
        known = saturate(self._amplitude * calcium)
        bins, phase = np.divmod(now, STEPS_PER_FRAME)
        targets = phase[:, None] + ahead  # from the start of the present bin
        rates = self.expected_rates(bins, 1 + int(targets.max()) // STEPS_PER_FRAME)
        patterns, which = np.unique(np.column_stack([phase, targets]), axis=0, return_inverse=True)
        for number, (present, *at) in enumerate(patterns):
            rows = which.ravel() == number
            calcium[rows] += self._kernel(present, np.array(at), rates.shape[1]) @ rates[rows]
        return known, saturate(self._amplitude * calcium) - known

    def expected_rates(self, bins: np.ndarray, n_bins: int) -> np.ndarray:
        """Rates (Hz) in ``bins`` (batch,) and expected in those after it, (batch, bin, cell)."""
        rates = np.empty((len(bins), n_bins, self._weights.shape[1]), dtype=np.float32)
        base = np.log(self._cells["base_rate"])
        rest, usual = self._rest[bins], self._usual_rest[bins]
        for ahead, (mean, variance) in enumerate(self._latents.moments(bins, n_bins)):
            decay = np.exp(-ahead * STEPS_PER_FRAME * FINE_STEP / PRIVATE_TAU)
            variance = np.square(self._weights).T @ variance
            variance += self._cells["private_weight"] ** 2 * (1 - decay**2)
            log_rate = mean @ self._weights
            log_rate += usual + np.float32(decay) * (rest - usual)
            log_rate += (base + variance / 2).astype(np.float32)
            np.minimum(np.exp(log_rate, out=log_rate), MAX_RATE, out=rates[:, ahead])
        return rates

    @property
    def _amplitude(self) -> np.ndarray:
        return self._cells["amplitude"].astype(np.float32)

    def _remaining(self, now: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """Calcium of the spikes up to now, (batch, time, cell)."""
        slow, fast = (
            (decay**ahead).astype(np.float32)[:, :, None] * self._trace(now, which)[:, None]
            for which, decay in enumerate(self._decays)
        )
        return np.subtract(slow, fast, out=slow)

    def _trace(self, now: np.ndarray, which: int) -> np.ndarray:
        """Exponential trace of the spikes up to now, (batch, cell)."""
        bins, phase = np.divmod(now, STEPS_PER_FRAME)
        decay, trace = self._decays[which], self._traces[which]
        shares = np.cumsum(decay ** np.arange(STEPS_PER_FRAME)) / STEPS_PER_FRAME
        new = shares[phase].astype(np.float32)[:, None] * self._spikes[bins]
        old = (decay ** (phase + 1)).astype(np.float32) * (bins > 0)
        return new + old[:, None] * trace[np.maximum(bins - 1, 0)]

    def _kernel(self, now: int, targets: np.ndarray, n_bins: int) -> np.ndarray:
        """Response at the steps ``targets`` to 1 Hz in each bin after step ``now``, (time, bin)."""
        spike = np.arange(n_bins * STEPS_PER_FRAME)
        since = np.maximum(targets[:, None] - spike, 0)  # no response to what is yet to come
        slow, fast = self._decays
        response = (slow**since - fast**since) * (spike > now) * FINE_STEP
        return response.reshape(len(targets), n_bins, -1).sum(axis=2).astype(np.float32)

    def _unexplained(self, rates: np.ndarray) -> np.ndarray:
        """Log-rate beside base, latents and events, (bin, cell); changes ``rates``."""
        rest = np.log(np.maximum(rates, _LOWEST_RATE, out=rates), out=rates)
        for first in range(0, len(rest), 1024):
            rows = slice(first, first + 1024)
            rest[rows] -= self._latents.values[rows] @ self._weights
        rest -= np.log(self._cells["base_rate"]).astype(np.float32)
        return rest

    def _usual_unexplained(self) -> np.ndarray:
        """What ``_rest`` returns to, (bin, cell), so that the usual rate comes out right.

        That is the mean of the factor by which it and the events raise the rate, not of the
        logarithm: what is rare and strong counts.
        """
        events = self._latents.unusual_events @ self._weights[-len(EVENTS) :]
        usual = _usual(np.expm1(np.add(events, self._rest, out=events)))
        usual = np.log1p(usual, out=usual)
        usual -= np.float32(self._cells["private_weight"] ** 2 / 2)
        return usual


class _LatentForecast:
    """Mean and variance of all latents some bins ahead, given those at the start of a bin.

    Columns: shared, area by area (one per time constant), events.
    """

    def __init__(self, truth: Truth) -> None:
        area = truth["area_latents"]  # (area, tau, bin)
        self._shape = area.shape[:2]
        parts = truth["shared_latents"], area.reshape(-1, area.shape[2]), truth["events"]
        self.values = np.concatenate(parts).T.astype(np.float32, order="C")  # (bin, latent)
        self._usual_events = _usual(truth["events"].T)  # (bin, event)
        self._usual_events[:, EVENTS.index("arousal")] = 0.0
        self.unusual_events = truth["events"].T - self._usual_events
        self.unusual_events[:, EVENTS.index("arousal")] = 0.0
        self._coupled = [_CoupledAreas(truth["area_coupling"], tau) for tau in AREA_TAUS]
        # one factor gives all areas and time constants unit variance on average
        typical = np.mean([areas.stationary.mean() for areas in self._coupled])
        self._unit = 1 / typical

    def weights(self, cells: dict[str, np.ndarray]) -> np.ndarray:
        """Weights of the cells' log-rate, (latent, cell) float32."""
        n_areas, n_taus = self._shape
        n_cells = len(cells["area"])
        area = np.zeros((n_cells, n_areas, n_taus))
        area[np.arange(n_cells), cells["area"]] = cells["area_weights"]
        parts = cells["shared_weights"], area.reshape(n_cells, -1), cells["event_weights"]
        return np.concatenate(parts, axis=1).T.astype(np.float32)

    def moments(self, bins: np.ndarray, n_bins: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For ``bins`` and those after it: mean (batch, latent) float32 and variance (latent,)."""
        now, before = self.values[bins], self.values[np.maximum(bins - 1, 0)]
        n_shared, n_events = len(SHARED_TAUS), len(EVENTS)
        areas = slice(n_shared, -n_events)
        shape = (len(bins), *self._shape)
        here, last = now[:, areas].reshape(shape), before[:, areas].reshape(shape)
        steps = [0] + [ahead * STEPS_PER_FRAME + _MIDDLE for ahead in range(1, n_bins)]
        of_areas = [coupled.moments(steps) for coupled in self._coupled]
        for ahead, step in enumerate(steps):
            mean, variance = np.empty_like(now), np.empty(now.shape[1])
            decay = np.exp(-step * FINE_STEP / SHARED_TAUS)
            mean[:, :n_shared], variance[:n_shared] = now[:, :n_shared] * decay, 1 - decay**2
            events = self._events(now[:, -n_events:], bins, step * FINE_STEP)
            mean[:, -n_events:], variance[-n_events:] = events
            target, spread = np.empty_like(here), np.empty(self._shape)
            for k, (from_now, from_last, noise) in enumerate(of_areas):
                target[:, :, k] = here[:, :, k] @ from_now[ahead].T
                target[:, :, k] += last[:, :, k] @ from_last[ahead].T
                spread[:, k] = noise[ahead] * self._unit
            mean[:, areas], variance[areas] = target.reshape(len(bins), -1), spread.ravel()
            yield mean, variance

    def _events(
        self, now: np.ndarray, bins: np.ndarray, seconds: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Events return to what is usual; of the two parts of arousal, only the sum is known."""
        arousal = sum(part * np.exp(-seconds / tau) for tau, part in AROUSAL_PARTS.items())
        decay = np.append(np.exp(-seconds / EVENT_TAUS), arousal)
        variance = np.append(np.zeros(len(EVENT_TAUS)), 1 - arousal**2)
        usual = self._usual_events[bins]
        return usual + (now - usual) * decay, variance


class _CoupledAreas:
    """The latents of all areas with one time constant, which drive one another with a delay."""

    def __init__(self, coupling: np.ndarray, tau: float) -> None:
        n = len(coupling)
        decay = np.exp(-FINE_STEP / tau)
        # state: the latents at the present fine step and at the last COUPLING_DELAY ones
        self._step = np.eye((COUPLING_DELAY + 1) * n, k=-n)
        self._step[:n, :n] = decay * np.eye(n)
        self._step[:n, -n:] += (1 - decay) * coupling
        self._input = np.zeros_like(self._step)
        self._input[:n, :n] = (1 - decay**2) * np.eye(n)
        self._n = n
        self.stationary = np.diag(solve_discrete_lyapunov(self._step, self._input))[:n]

    def moments(self, steps: Sequence[int]) -> tuple[list, list, list]:
        """For each of ``steps`` fine steps ahead, increasing from 0: a, b, variance.

        The mean is a @ now + b @ one bin before; steps between two bins are interpolated.
        """
        n, lags = self._n, np.arange(COUPLING_DELAY + 1) / STEPS_PER_FRAME
        start = np.concatenate([np.kron(1 - lags, np.eye(n)), np.kron(lags, np.eye(n))]).T
        spread = np.zeros_like(self._step)
        from_now, from_last, variance = [], [], []
        for step in range(steps[-1] + 1):
            if step in steps:
                from_now.append(start[:n, :n].astype(np.float32))
                from_last.append(start[:n, n:].astype(np.float32))
                variance.append(np.diag(spread)[:n])
            start = self._step @ start
            spread = self._step @ spread @ self._step.T + self._input
        return from_now, from_last, variance


def _usual(series: np.ndarray) -> np.ndarray:
    """Mean of (bin, series) over the last minute, float32; 0 before the first bin."""
    decay = np.exp(-STEPS_PER_FRAME * FINE_STEP / USUAL_TAU)
    numerator, denominator = np.array([1 - decay], np.float32), np.array([1, -decay], np.float32)
    return lfilter(numerator, denominator, series.astype(np.float32), axis=0)


def _cells_of(truth: Truth, fovs: np.ndarray, rois: np.ndarray) -> dict[str, np.ndarray]:
    """Properties of the cells, and their place in the truth: ``fov`` and ``row``."""
    names = ("base_rate", "area", "shared_weights", "area_weights", "event_weights")
    columns: dict[str, list] = {name: [None] * len(rois) for name in (*names, "amplitude", "row")}
    for fov in np.unique(fovs):
        if f"{fov}/cells" not in truth:
            raise ValueError(f"the truth of the session has no field of view '{fov}'")
        rows = {roi: row for row, roi in enumerate(truth[f"{fov}/cells"].tolist())}
        values = {name: truth[f"{fov}/{name}"] for name in names}
        amplitude = truth[f"{fov}/amplitude"]
        for place in np.flatnonzero(fovs == fov):
            roi = int(rois[place])
            if roi not in rows:
                raise ValueError(f"ROI {roi} of {fov} is no cell in the truth of the session")
            for name in names:
                columns[name][place] = values[name][rows[roi]]
            columns["amplitude"][place], columns["row"][place] = amplitude[roi], rows[roi]
    private = float(truth[f"{fovs[0]}/private_weight"])
    arrays = {name: np.array(values) for name, values in columns.items()}
    return arrays | {"fov": fovs, "private_weight": private}


def _per_cell(truth: Truth, cells: dict[str, np.ndarray], name: str) -> np.ndarray:
    """``spikes`` or ``rates`` of the cells, (bin, cell)."""
    whole = None
    for fov in np.unique(cells["fov"]):
        mine = cells["fov"] == fov
        values = truth[f"{fov}/{name}"]
        whole = np.empty((len(values), len(mine)), values.dtype) if whole is None else whole
        whole[:, mine] = values[:, cells["row"][mine]]
    return whole


def _spread_trace(spikes: np.ndarray, decay: float) -> np.ndarray:
    """Exponential trace at the last fine step of each bin, (bin, cell) float32."""
    share = np.mean(decay ** np.arange(STEPS_PER_FRAME))
    numerator = np.array([share], np.float32)
    denominator = np.array([1, -(decay**STEPS_PER_FRAME)], np.float32)
    return lfilter(numerator, denominator, spikes.astype(np.float32), axis=0)
