"""What saccades do to responses: in the data, in a twin, and in a twin that knows no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.datasets.v1 import V1Recording
from utils.metrics.modulation import modulation_kernel
from utils.metrics.spikes import saccade_triggered_average, valid_bins
from utils.signals.saccades import detect_saccades

Floats = NDArray[np.float64]

WINDOW_S = (-0.1, 0.3)  # around the onset of a saccade


@dataclass(frozen=True)
class SaccadeResponses:
    """Responses around saccades, all (lag, cell), averages in counts per bin.

    Attributes
    ----------
    lags_s : (lag,) s after the onset.
    data, model : averages of the counts and of the twin's rates over the same bins.
    ablated : that of the twin without behaviour.
    kernel : relative change of the rate by one saccade, from the twin with and without behaviour,
        see :func:`utils.metrics.modulation.modulation_kernel`.
    n_saccades : whose onset lies in a bin that counts for some cell.
    """

    lags_s: Floats
    data: Floats
    model: Floats
    ablated: Floats
    kernel: Floats
    n_saccades: int

    @property
    def gap(self) -> Floats:
        """What the twin takes from behaviour (lag, cell), counts per bin."""
        return self.model - self.ablated


def saccade_responses(
    recording: V1Recording,
    rates: ArrayLike,
    ablated: ArrayLike,
    onsets: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    responses: ArrayLike | None = None,
) -> SaccadeResponses:
    """Averages around saccades from -0.1 to 0.3 s, and the kernel of the ablation gap.

    Parameters
    ----------
    rates, ablated : (time, cell) predictions of a twin with behaviour, and of the same twin
        without it, see :func:`utils.evaluation.v1_twin.predict.without_behavior`; NaN where there
        is none. Only bins with both count, also for the data.
    onsets : (saccade,) bins in which saccades start; by default they are detected, see
        :func:`saccade_onsets`.
    mask : (time,), (time, 1) or (time, cell), true where a response counts; default ``valid``.
    responses : (time, cell), by default the counts of all cells of the recording.
    """
    responses = recording.robs if responses is None else responses
    counts, rates, ablated = (np.asarray(a, float) for a in (responses, rates, ablated))
    onsets = saccade_onsets(recording) if onsets is None else np.asarray(onsets, np.intp)
    mask = valid_bins(recording.valid if mask is None else mask, counts)
    mask &= np.isfinite(rates) & np.isfinite(ablated)
    rate_hz, trials = recording.metadata["rate_hz"], recording.trial_inds
    lags = np.arange(*np.rint(np.array(WINDOW_S) * rate_hz).astype(int) + [0, 1])
    averages = (
        saccade_triggered_average(values, onsets, lags, mask, trials)
        for values in (counts, rates, ablated)
    )
    kernel = modulation_kernel(rates, ablated, onsets, lags, mask, trials)
    n_saccades = int(mask[onsets].any(axis=1).sum())
    return SaccadeResponses(lags / rate_hz, *averages, kernel, n_saccades)


def saccade_onsets(recording: V1Recording) -> NDArray[np.intp]:
    """Bins in which saccades start, from the measured gaze (Engbert & Kliegl 2003).

    Raises
    ------
    ValueError
        The recording holds no gaze.
    """
    if recording.eyepos is None:
        raise ValueError(
            f"recording {recording.metadata['name']} has no eyepos; give the onsets of saccades"
        )
    rate_hz = recording.metadata["rate_hz"]
    return detect_saccades(recording.eyepos, rate_hz, recording.trial_inds).onsets
