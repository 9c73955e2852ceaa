"""A twin of a mesoscope session: does it see what its cells see, and as much of a contrast?

Receptive fields come from the sparse noise of the passive bout, contrast responses from gratings
of the task. The twin is shown squares and gratings one at a time; a simulated session says what
the cells would do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from utils.datasets.v1.dataset import V1Dataset
from utils.datasets.v1.recording import V1Recording
from utils.datasets.v1.screen import (
    NOISE_SQUARE,
    PATCH_AZIMUTH,
    PATCH_SD,
    Screen,
    patch_on_screen,
    to_grey_levels,
)
from utils.datasets.v1.transforms import GREY
from utils.evaluation.v1_twin.predict import Predict, rates_of
from utils.metrics.reverse_correlation import pixel_degrees
from utils.metrics.spikes import mean_rates, valid_bins
from utils.models.v1_twin.losses import LossName, deviance_explained, loss_sums
from utils.models.v1_twin.readout import GaussianReadout
from utils.models.v1_twin.twin import V1Twin
from utils.simulation.truth import Truth
from utils.splits import TEST, TRAIN

Floats = NDArray[np.floating]

CLEAR = 4.5  # z of a receptive field; the largest of a map without one is about 3.5
BLUR_DEG = 8.0  # deg, sd: about the size of receptive fields in the mouse
LAGS = 2  # bins in which an image acts: its own, and the next
CONTRASTS = (0.0, 0.0625, 0.125, 0.25, 1.0)
TRANSIENT = 0.7  # mean over a simulated response of .4 s, of its peak


def noise_fields(
    recording: V1Recording, responses: ArrayLike | None = None, mask: ArrayLike | None = None
) -> pd.DataFrame:
    """Receptive fields from sparse noise: blurred correlation of responses with contrast.

    Square roots of the responses tame rare large ones. An image acts in its bin and the next.

    Parameters
    ----------
    recording : of :func:`utils.datasets.v1.mesoscope.mesoscope_recording`.
    responses : (time, cell), not negative; by default those of the recording.
    mask : (time,), (time, 1) or (time, cell), which bins count, such as those of training trials.

    Returns
    -------
    Per cell: azimuth, elevation (deg), polarity (+1 likes white), z (of the largest correlation,
    in standard deviations without any), clear (z > 4.5).
    """
    responses = np.asarray(recording.robs if responses is None else responses, np.float64)
    counted = valid_bins(recording.valid if mask is None else mask, responses)
    noise = recording.stim_type == recording.metadata["stim_types"].index("noise")
    bins = np.flatnonzero(noise[LAGS - 1 :]) + LAGS - 1
    frames = (recording.stim[: bins[-1] + 1].astype(np.float32) - GREY) / GREY
    seen = sum(frames[bins - lag] for lag in range(LAGS))
    px_per_deg = recording.metadata["px_per_deg"]
    seen = ndimage.gaussian_filter(seen, (0, *2 * [BLUR_DEG * px_per_deg]), mode="constant")
    seen = _standardised(seen.reshape(len(bins), -1), np.ones((len(bins), 1), bool))
    root = np.sqrt(np.where(counted[bins], responses[bins], 0).clip(min=0))
    n_bins = np.maximum(counted[bins].sum(axis=0), 1)[:, None]
    z = _standardised(root, counted[bins]).T @ seen / np.sqrt(n_bins)  # (cell, pixel)
    return _peaks(z.reshape(-1, *recording.stim.shape[1:]), px_per_deg)


def session_scores(
    dataset: V1Dataset, rates: Mapping[str, ArrayLike], loss: LossName = "tweedie"
) -> pd.DataFrame:
    """Share of the deviance from the mean response that is explained on test trials.

    Parameters
    ----------
    rates : model -> (time, cell), known in all test bins that count.
    loss : whose deviance it is, that of the training.

    Returns
    -------
    Indexed by type of stimulus and cell, a column for each model; 0 is as good as the mean of the
    training, NaN a cell without a response.
    """
    train, test = dataset.counted(TRAIN), dataset.counted(TEST)
    mean = torch.from_numpy(mean_rates(dataset.responses, train)).float()
    tables = {}
    for index, name in enumerate(dataset.recording.metadata["stim_types"]):
        counted = test & (dataset.recording.stim_type == index)[:, None]
        if not counted.any():
            continue
        arrays = {
            model: (np.where(counted, values, 1), dataset.responses, counted)
            for model, values in rates.items()
        }
        tables[name] = pd.DataFrame(
            {
                model: deviance_explained(loss_sums(loss, *map(_batch, parts), mean)).numpy()
                for model, parts in arrays.items()
            }
        ).rename_axis("cell")
    return pd.concat(tables, names=["type"])


def look_at(model: V1Twin, name: str, fields: pd.DataFrame, screen: Screen) -> None:
    """Move the masks of clear cells to their receptive fields, before the training.

    Raises
    ------
    ValueError
        The readout has no places.
    """
    readout = model.readouts[name]
    if not isinstance(readout, GaussianReadout):
        raise ValueError(f"readout of '{name}': only those of type 'gaussian' have a place")
    edges = readout_edges(model, screen)
    places = torch.tensor(fields[["azimuth", "elevation"]].to_numpy() / edges)
    clear = torch.tensor(fields["clear"].to_numpy())
    with torch.no_grad():
        readout.mean[clear] = places.to(readout.mean)[clear].clamp(-1, 1)


def readout_edges(model: V1Twin, screen: Screen) -> tuple[float, float]:
    """Azimuth and elevation (deg) of the outermost features, where the readout's places are 1."""
    config, spacing = model.config.convnet, np.ones(2)
    blocks = [] if config.type == "none" else [*filter(None, [config.stem]), *config.blocks]
    for block in blocks:
        spacing *= block.stride_space * np.array(block.pool.size[1:] if block.pool else (1, 1))
    down, across = (np.array(model.core.size) - 1) / 2 * spacing / screen.px_per_deg
    return float(across), float(down)


def probed_fields(
    predict: Predict, screen: Screen, n_lags: int, behavior: NDArray | None = None
) -> pd.DataFrame:
    """Receptive fields of a twin: what one white or black square does, at all places.

    Parameters
    ----------
    n_lags : frames that a prediction depends on.
    behavior : (D,) that the twin is given all the time.

    Returns
    -------
    As :func:`noise_fields`, with ``peak`` (change of the rate, as a multiple of that to grey)
    instead of z and clear.
    """
    n_rows, n_columns = (
        round(n / screen.px_per_deg / NOISE_SQUARE) for n in (screen.rows, screen.columns)
    )
    size = round(NOISE_SQUARE * screen.px_per_deg)
    squares = np.zeros((n_rows * n_columns, n_rows, n_columns), np.float32)
    squares.reshape(len(squares), -1)[np.diag_indices(len(squares))] = 1
    images = np.kron(squares, np.ones((1, size, size), np.float32))
    grey = _rates(predict, images[:1] * 0, n_lags, behavior)
    white, black = (_rates(predict, images * sign, n_lags, behavior) - grey for sign in (1, -1))
    change = ((white - black) / np.maximum(grey, 1e-9)).T.reshape(-1, n_rows, n_columns)
    smooth = ndimage.gaussian_filter(change, (0, 1, 1), mode="constant")
    return _peaks(smooth, 1 / NOISE_SQUARE).rename(columns={"z": "peak"}).drop(columns="clear")


def probed_contrasts(
    predict: Predict,
    screen: Screen,
    n_lags: int,
    contrasts: Sequence[float] = CONTRASTS,
    behavior: NDArray | None = None,
) -> pd.DataFrame:
    """Rates (cell, contrast) of a twin to gratings of the task on the left, less that to grey."""
    levels = np.asarray(contrasts, np.float32)
    gratings = patch_on_screen(levels, np.full(len(levels), -PATCH_AZIMUTH), screen)
    rates = _rates(predict, gratings, n_lags, behavior)
    grey = _rates(predict, gratings[:1] * 0, n_lags, behavior)
    return _contrast_table((rates - grey).T, levels)


def contrast_responses(
    recording: V1Recording, trials: pd.DataFrame, responses: ArrayLike, seconds: float = 0.5
) -> pd.DataFrame:
    """Mean responses (cell, contrast) to gratings on the left, less that just before.

    Parameters
    ----------
    trials : of the session, with onsets (s) and contrasts.
    responses : (time, cell), NaN where missing: those of cells or of a twin.
    seconds : after the onset. Contrasts that were never shown are NaN.
    """
    responses = np.asarray(responses, np.float64)
    ends = recording.t_bins + 0.5 / recording.metadata["rate_hz"]
    levels = trials["contrastLeft"].to_numpy(np.float64)
    changes = np.full((len(trials), responses.shape[1]), np.nan)
    for trial in np.flatnonzero(np.isfinite(levels)):
        onset = trials["stimOn_times"].iloc[trial]
        before, first, stop = np.searchsorted(ends, [onset - seconds, onset, onset + seconds])
        if before < first < stop:
            after = responses[first + 1 : stop]  # the onset's own bin is half before it
            changes[trial] = after.mean(axis=0) - responses[before:first].mean(axis=0)
    shown = np.array(CONTRASTS)
    rows = [changes[np.isclose(levels, level)] for level in shown]
    means = [np.nanmean(r, axis=0) if np.isfinite(r).any() else changes[0] * np.nan for r in rows]
    return _contrast_table(np.stack(means, axis=1), shown)


def session_truth(truth: Truth, neurons: pd.DataFrame) -> pd.DataFrame:
    """What is true of the cells of a simulated session.

    Parameters
    ----------
    truth : of :func:`utils.simulation.load_truth`.
    neurons : rows of ``session.neurons``, those of the recording's cells.

    Returns
    -------
    Per cell: visual, azimuth, elevation (deg), polarity, drive (log-rate that a grating of full
    contrast on the left adds at most), and for each contrast the relative response, ``c0`` to
    ``c1``, that the mean over a response has.
    """
    names = ("azimuth", "elevation", "polarity", "visual_gain", "field_size")
    rows = []
    for fov, roi in zip(neurons["fov"], neurons["roi"]):
        place = int(np.flatnonzero(truth[f"{fov}/cells"] == roi)[0])
        about = {name: float(truth[f"{fov}/{name}"][place]) for name in names}
        rows.append({**about, "tuning": truth[f"{fov}/contrast_tuning"][place]})
    table = pd.DataFrame(rows)
    tuning = np.stack(table.pop("tuning"))[:, ::-1]  # from 0 to 1
    width = table.pop("field_size") ** 2 + PATCH_SD**2
    distance = (table["azimuth"] + PATCH_AZIMUTH) ** 2 + table["elevation"] ** 2
    table["drive"] = table["visual_gain"] * np.exp(-0.5 * distance / width)
    response = np.expm1(TRANSIENT * table["drive"].to_numpy()[:, None] * tuning)
    table["visual"] = table.pop("visual_gain") > 0
    columns = _contrast_table(response, CONTRASTS)
    return pd.concat([table, columns], axis=1).rename_axis("cell")


def field_recovery(
    truth: pd.DataFrame, estimates: Mapping[str, pd.DataFrame], cells: ArrayLike
) -> pd.DataFrame:
    """How far receptive fields are from the truth, by estimate.

    Parameters
    ----------
    cells : (cell,) true for those to look at.

    Returns
    -------
    Per estimate: median and quartiles of the centres' distance (deg), share of right polarities,
    n_cells.
    """
    cells = np.asarray(cells, bool)
    rows = {}
    for name, found in estimates.items():
        away = (found[axis] - truth[axis] for axis in ("azimuth", "elevation"))
        error = np.hypot(*away)[cells]
        low, middle, high = np.percentile(error, [25, 50, 75])
        right = (found["polarity"] == truth["polarity"])[cells].mean()
        rows[name] = {"centre_error": middle, "q25": low, "q75": high, "right_polarity": right}
    return pd.DataFrame(rows).T.assign(n_cells=cells.sum()).rename_axis("estimate")


def contrast_recovery(truth: pd.DataFrame, estimate: pd.DataFrame) -> pd.Series:
    """Correlation (cell,) over contrasts of responses with the true ones; NaN of none."""
    columns = list(estimate.columns)
    true, found = (table[columns].to_numpy(np.float64) for table in (truth, estimate))
    true, found = (values - values.mean(axis=1, keepdims=True) for values in (true, found))
    size = np.sqrt((true**2).sum(axis=1) * (found**2).sum(axis=1))
    r = (true * found).sum(axis=1) / np.where(size > 1e-12, size, np.nan)
    return pd.Series(r, estimate.index, name="r")


def _batch(values: NDArray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))[None]


def _rates(
    predict: Predict, contrast: Floats, n_lags: int, behavior: NDArray | None
) -> NDArray[np.float32]:
    """Rates (image, cell) in the bin after each image (image, row, column) came on."""
    frames = np.full((len(contrast), n_lags, *contrast.shape[1:]), GREY, np.uint8)
    frames[:, -LAGS:] = to_grey_levels(contrast)[:, None]
    return rates_of(predict, frames, behavior)[:, -1]


def _standardised(values: Floats, counted: NDArray[np.bool_]) -> Floats:
    """(time, column) with mean 0 and variance 1 over what counts, 0 elsewhere."""
    n = np.maximum(counted.sum(axis=0), 1)
    values = np.where(counted, values - np.where(counted, values, 0).sum(axis=0) / n, 0)
    sd = np.sqrt((values**2).sum(axis=0) / n)
    return values / np.where(sd > 0, sd, 1)


def _peaks(maps: Floats, px_per_deg: float) -> pd.DataFrame:
    """Sign of the largest value of each map (cell, row, column), and the centre of its patch."""
    azimuth, elevation = pixel_degrees(*maps.shape[1:], px_per_deg)
    flat = maps.reshape(len(maps), -1)
    best = np.abs(flat).argmax(axis=1)
    peak = flat[np.arange(len(flat)), best]
    rows = []
    for values, place in zip(maps * np.sign(peak)[:, None, None], best):
        high = np.maximum(values - 0.5 * values.max(), 0)
        patches, _ = ndimage.label(high > 0)
        weights = np.where(patches == patches.flat[place], high, 0)
        weights /= max(weights.sum(), 1e-12)
        rows.append((weights.sum(axis=0) @ azimuth, weights.sum(axis=1) @ elevation))
    table = pd.DataFrame(rows, columns=["azimuth", "elevation"]).rename_axis("cell")
    strength = np.abs(peak)
    return table.assign(polarity=np.sign(peak), z=strength, clear=strength > CLEAR)


def _contrast_table(values: Floats, contrasts: ArrayLike) -> pd.DataFrame:
    """Columns named after the contrasts, from ``c0`` to ``c1``."""
    names = [f"c{level:g}" for level in np.asarray(contrasts, np.float64)]
    return pd.DataFrame(values, columns=names).rename_axis("cell")
