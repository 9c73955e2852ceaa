"""What a twin has learnt of the cells of a data set, and where that cannot be asked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from utils.datasets.v1.dataset import V1Dataset
from utils.evaluation.v1_twin.gratings import show_gratings
from utils.evaluation.v1_twin.predict import twin_predict, without_behavior
from utils.evaluation.v1_twin.rates import predict_rates
from utils.evaluation.v1_twin.recovery import truth_table
from utils.evaluation.v1_twin.reverse_correlation import gradient_fields, recorded_windows
from utils.evaluation.v1_twin.saccades import SaccadeResponses, saccade_responses
from utils.evaluation.v1_twin.scores import cell_columns, cell_index
from utils.models.v1_twin.twin import V1Twin
from utils.simulation.v1 import V1Truth
from utils.splits import TEST, TRAIN, VALIDATION

HELD_OUT = (VALIDATION, TEST)  # what no twin was trained on


def why_no_fields(model: V1Twin, dataset: V1Dataset) -> str:
    """What stands against :func:`twin_fields`; empty if nothing does."""
    if model.config.behavior_only:
        return "the twin sees no frames"
    if model.config.history.type != "none":
        return "the twin needs a history of responses, which frames that it is shown have not"
    if dataset.config.stimulus:
        return "the twin sees transformed frames, not grey levels"
    return ""


def twin_fields(model: V1Twin, dataset: V1Dataset) -> pd.DataFrame:
    """Receptive fields of the cells: azimuth, elevation (deg), sf (c/deg), ori (deg), f1_f0.

    Place, frequency and orientation are those of the gradients of rates about the frames of the
    type of stimulus that most training trials show; F1/F0 is that of drifting gratings. Behaviour
    stays at its mean in training.
    """
    predict, recording = twin_predict(model, dataset.config.name), dataset.recording
    px_per_deg, n_lags = recording.metadata["px_per_deg"], dataset.config.n_lags
    train = dataset.counted(TRAIN).any(axis=1)
    behavior = None if dataset.behavior is None else dataset.behavior[train].mean(axis=0)
    most = np.bincount(recording.stim_type[train]).argmax()
    windows = recorded_windows(recording, n_lags, stim_type=recording.metadata["stim_types"][most])
    fields = gradient_fields(predict, windows, px_per_deg, behavior).table()
    gratings = show_gratings(predict, dataset.config.grid, px_per_deg, n_lags, behavior=behavior)
    return fields.assign(f1_f0=gratings.table()["f1_f0"]).set_axis(cell_index(dataset))


def why_no_saccades(model: V1Twin, dataset: V1Dataset) -> str:
    """What stands against :func:`twin_saccades`; empty if nothing does."""
    if model.config.modulator.type == "none":
        return "the twin does not look at behaviour"
    if model.config.history.type != "none":
        return "the twin hears of saccades through its history of responses, too"
    if dataset.recording.eyepos is None:
        return "the recording has no gaze"
    if len(dataset.sequences(TEST, 1).firsts) < 2:
        return "there are not enough test bins"
    return ""


def twin_saccades(model: V1Twin, dataset: V1Dataset, sequence_bins: int) -> SaccadeResponses:
    """Responses of data and twin around the saccades of held-out trials, and the twin's kernel.

    Validation trials count beside those of the test: kernels of few saccades are noisy. For a twin
    without behaviour the same twin is given that of other times, see
    :func:`~utils.evaluation.v1_twin.predict.without_behavior`.
    """
    labels = [part for part in HELD_OUT if len(dataset.sequences(part, 1).firsts) > 1]
    ablated = without_behavior(twin_predict(model, dataset.config.name))
    rates = predict_rates(model, dataset, labels=labels, sequence_bins=sequence_bins)
    without = predict_rates(
        lambda sequences: ablated(sequences.stimulus, sequences.behavior),
        dataset,
        labels=labels,
        sequence_bins=sequence_bins,
    )
    counted = np.any([dataset.counted(part) for part in labels], axis=0)
    return saccade_responses(
        dataset.recording, rates, without, mask=counted, responses=dataset.responses
    )


def true_fields(dataset: V1Dataset, truth: V1Truth) -> pd.DataFrame:
    """What :func:`twin_fields` should find, see :func:`~utils.evaluation.v1_twin.truth_table`."""
    return truth_table(truth).iloc[cell_columns(dataset)].set_axis(cell_index(dataset))
