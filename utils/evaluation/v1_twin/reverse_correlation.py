"""Where cells look and what for: from the noise of a recording, and from a model's gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from tqdm.auto import tqdm

from utils.datasets.v1 import V1Recording
from utils.evaluation.v1_twin.predict import Predict, constant_behavior
from utils.metrics.reverse_correlation import (
    ReverseCorrelation,
    map_centres,
    reverse_correlation,
    spectral_peak,
)

Floats = NDArray[np.floating]

LAGS = 16  # bins
NULL_LAGS = range(-30, -14)  # frames 15 and more bins after the response: of another pattern
COMPONENTS, KEPT = 4, 12  # images that a cell's gradients are made of; of these so far
WINDOW_BINS = 32  # predicted in each window that gradients are taken about
WINDOWS_AT_ONCE = 4  # which bounds the memory


@dataclass(frozen=True)
class ReceptiveFields:
    """Receptive fields from the noise of a recording.

    Attributes
    ----------
    maps : (cell, lag, H, W) average and energy with z-scores.
    lags_ms : (lag,) from the frame to the response.
    centres : (cell, 2) azimuth and elevation, deg from the centre of gaze.
    """

    maps: ReverseCorrelation
    lags_ms: Floats
    centres: Floats

    def table(self) -> pd.DataFrame:
        """Per cell: azimuth, elevation (deg), lag_ms, largest |z| of average and energy, spikes."""
        maps = self.maps
        extremes = (np.abs(np.nan_to_num(z)).max(axis=(1, 2, 3)) for z in (maps.sta_z, maps.ste_z))
        return pd.DataFrame(
            {
                "azimuth": self.centres[:, 0],
                "elevation": self.centres[:, 1],
                "lag_ms": self.lags_ms[maps.peak_lags()],
                **dict(zip(("sta_z", "ste_z"), extremes)),
                "n_spikes": maps.n_spikes,
            }
        ).rename_axis("cell")


def receptive_fields(
    recording: V1Recording,
    responses: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    stim_type: str = "gaborium",
) -> ReceptiveFields:
    """Spike-triggered average and energy of the frames of one type, up to 15 bins before.

    Parameters
    ----------
    responses : (time, cell), by default the counts; or a model's rates, NaN where there are none.
    mask : (time,), (time, 1) or (time, cell), true where a response counts; default ``valid``.
        Frames that no cell's ``valid`` allows are left out: the eye was lost.

    Raises
    ------
    ValueError
        The recording has no frames, or none of this type.
    """
    shown = _shown(recording, stim_type)
    rate = recording.metadata["rate_hz"]
    maps = reverse_correlation(
        recording.stim,
        recording.robs if responses is None else responses,
        np.arange(LAGS),
        np.asarray(NULL_LAGS),
        recording.valid if mask is None else mask,
        shown,
        recording.trial_inds,
    )
    centres = map_centres(maps.strength(), recording.metadata["px_per_deg"])
    return ReceptiveFields(maps, 1000 * np.arange(LAGS) / rate, centres)


@dataclass(frozen=True)
class GradientFields:
    """What the cells of a model react to, by the gradients of their rates.

    Attributes
    ----------
    maps : (cell, H, W) root mean square of the gradient.
    components : (cell, component, H, W) images that make up the gradients, strongest first, each
        of the length of its share.
    centres : (cell, 2) azimuth and elevation, deg from the centre of gaze.
    sf, ori : (cell,) c/deg and deg at the peak of the gradients' spectrum.
    """

    maps: Floats
    components: Floats
    centres: Floats
    sf: Floats
    ori: Floats

    def table(self) -> pd.DataFrame:
        """Per cell: azimuth, elevation (deg), sf (c/deg), ori (deg)."""
        columns = {"azimuth": self.centres[:, 0], "elevation": self.centres[:, 1]}
        return pd.DataFrame({**columns, "sf": self.sf, "ori": self.ori}).rename_axis("cell")


def gradient_fields(
    predict: Predict, stimulus: Tensor, px_per_deg: float, behavior: NDArray | None = None
) -> GradientFields:
    """Receptive fields of a model from the gradients of its rates, about given stimuli.

    A linear cell has one component, its filter; a cell that takes the energy of a quadrature pair
    has the pair. The spectrum of the components gives preferred frequency and orientation of both.

    One pass back through the model serves all bins of a window: their rates are added up with
    random signs, which leaves the second moments of the gradients what they are in the mean.

    Parameters
    ----------
    stimulus : (window, frame, H, W), as the model takes them, see :func:`recorded_windows`; some
        windows of what the model was trained on.
    behavior : (D,) that the model is given all the time.
    """
    squares, components = {}, {}  # by cell: (H, W) and (axis, pixel)
    for part in tqdm(stimulus.split(WINDOWS_AT_ONCE), "gradients", leave=False, delay=1):
        for cell, gradient in enumerate(_gradients(predict, part, behavior)):
            frames = gradient.flatten(0, 1).double()  # (frame, H, W)
            squares[cell] = squares.get(cell, 0) + frames.square().sum(dim=0)
            rows = frames.flatten(1)
            components[cell] = _strongest(torch.cat([components.get(cell, rows[:0]), rows]))
    n_frames = stimulus.shape[0] * stimulus.shape[1]
    maps = (torch.stack(list(squares.values())) / n_frames).sqrt().numpy()
    images = torch.stack(list(components.values()))[:, :COMPONENTS].numpy()
    images = images.reshape(*images.shape[:2], *maps.shape[1:])
    peaks = np.array([spectral_peak(of_cell, px_per_deg) for of_cell in images])
    return GradientFields(maps, images, map_centres(maps, px_per_deg), *peaks.T)


def recorded_windows(
    recording: V1Recording,
    n_lags: int,
    n_windows: int = 8,
    stim_type: str = "backimage",
    seed: int = 0,
) -> Tensor:
    """Windows (window, frame, H, W) from a recording, as (grey level - 127) / 255.

    They are drawn from all places where a trial of this type shows known frames throughout, and
    have 31 frames more than the ``n_lags`` that a prediction looks back.
    """
    n_frames = n_lags - 1 + WINDOW_BINS
    shown = _shown(recording, stim_type)
    whole = np.convolve(shown, np.ones(n_frames, int))[: len(shown)] == n_frames  # ends of windows
    ends = np.flatnonzero(whole)
    ends = ends[recording.trial_inds[ends] == recording.trial_inds[ends - n_frames + 1]]
    if not len(ends):
        raise ValueError(
            f"recording {recording.metadata['name']} has no {n_frames} known frames of {stim_type} "
            "in a row"
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(ends, min(n_windows, len(ends)), replace=False))
    frames = np.stack([recording.stim[end - n_frames + 1 : end + 1] for end in chosen])
    return (torch.from_numpy(frames).float() - 127) / 255


def _shown(recording: V1Recording, stim_type: str) -> NDArray[np.bool_]:
    """(time,) true at known frames of a type."""
    names = list(recording.metadata["stim_types"])
    if recording.stim is None or stim_type not in names:
        raise ValueError(
            f"recording {recording.metadata['name']} has no frames of '{stim_type}'; it has "
            + (", ".join(names) if recording.stim is not None else "no frames at all")
        )
    return (recording.stim_type == names.index(stim_type)) & recording.valid.any(axis=1)


def _strongest(rows: Tensor) -> Tensor:
    """The ``KEPT`` principal axes (axis, pixel) of rows, each as long as its share, in order."""
    _, vectors = torch.linalg.eigh(rows @ rows.T)  # smallest first
    return vectors.flip(1)[:, :KEPT].T @ rows


def _gradients(predict: Predict, stimulus: Tensor, behavior: NDArray | None) -> Iterator[Tensor]:
    """Cell by cell: gradients (window, frame, H, W) of its rates, added up with random signs."""
    frames = stimulus.detach().float().requires_grad_()
    rates = predict(frames, constant_behavior(behavior, frames))  # (window, bin, cell)
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, rates.shape[:2], generator=generator) * 2 - 1
    for rate in torch.einsum("wbc,wb->c", rates, signs.to(rates)):
        yield torch.autograd.grad(rate, frames, retain_graph=True)[0]
