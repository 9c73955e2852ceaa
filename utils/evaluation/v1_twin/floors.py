"""What a twin has to beat: the mean rate, what behaviour tells, and a linear-nonlinear model.

All are fitted to the training trials that the twin learns from; what they have to choose, they
choose on its validation trials.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from utils.datasets.v1.dataset import V1Dataset
from utils.datasets.v1.module import V1DataModule
from utils.evaluation.v1_twin.rates import predict_rates
from utils.models.v1_twin import build_model, fit_twin
from utils.models.v1_twin.experiment import TwinTraining
from utils.models.v1_twin.linear_nonlinear import fit_linear_nonlinear
from utils.models.v1_twin.task import TwinTrainer
from utils.splits import TRAIN, VALIDATION

Floats = NDArray[np.floating]

FLOORS = ("behaviour", "linear-nonlinear")  # beside the mean rate, which scores 0
SEQUENCE_BINS = 60
TRAINING = TwinTrainer(  # of the twin without a stimulus
    max_epochs=200,
    max_steps=800,
    batch_size=32,
    learning_rate=3e-3,
    weight_decay=1e-2,
    patience=10,
)


def floor_rates(dataset: V1Dataset) -> dict[str, Floats]:
    """Rates (time, cell) of each of :data:`FLOORS` in test and held-out trials.

    NaN for a cell without data. A floor whose input the data set has not, behaviour or frames, is
    left out.
    """
    floors = {}
    if dataset.behavior is not None:
        floors["behaviour"] = behavior_rates(dataset)
    if dataset.recording.stim is not None:
        model = fit_linear_nonlinear(
            dataset.recording.stim,
            dataset.responses,
            dataset.counted(TRAIN),
            dataset.counted(VALIDATION),
            dataset.config.n_lags,
        )
        floors["linear-nonlinear"] = model.predict(dataset.recording.stim)
    return floors


def behavior_rates(dataset: V1Dataset) -> Floats:
    """Rates (time, cell) of a twin that sees the columns of behaviour and no stimulus.

    A small network: gaze tells which type of stimulus is on, besides when a saccade was, and not by
    sums of its columns: Poisson regression on them scores half as much on the simulated recordings.
    """
    config = dataset.config.model_copy(update={"stimulus": None})
    recordings, statistics = {config.name: dataset.recording}, {config.name: dataset.statistics}
    data = V1DataModule(
        [config],
        recordings,
        sequence_bins=SEQUENCE_BINS,
        batch_size=TRAINING.batch_size,
        statistics=statistics,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(TRAINING.seed)
        model = build_model("behavior_only", [config])
        fit_twin(model, data, TwinTraining(trainer=TRAINING))
    rates = predict_rates(model, data.datasets[config.name], sequence_bins=SEQUENCE_BINS)
    return np.where(data.mean_rates[config.name] > 0, rates, np.nan)
