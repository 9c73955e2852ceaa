"""Scores that can be heard: sounds made of predicted parameters beside those of the true ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from utils.datasets.vimh import Parameter, VIMHDataModule, VIMHSplit, synthesiser_of
from utils.evaluation.spectral.baselines import Predictions, samples_of
from utils.evaluation.spectral.evaluate import (
    CEILING,
    MODEL,
    check_heads,
    reference_predictions,
)
from utils.metrics.audio import multiscale_stft_distance, reconstruction_snr, sound_correlation
from utils.models.spectral import SpectralNetwork
from utils.simulation.synthesis import synthesise

FLOOR = "mean"  # the baseline that is heard beside the model
SOUNDS = 256  # that are compared: whole sounds are large

Sounds = NDArray[np.float32]  # (sound, sample)


@dataclass(frozen=True, eq=False)
class AudioEvaluation:
    """What :func:`evaluate_audio` found.

    Attributes
    ----------
    scores : one row per sound and model: ``sound``, ``model``, ``snr_db``, ``pearson`` and
        ``stft_db``, see :mod:`utils.metrics.audio`.
    true : sounds of the true parameters.
    made : sounds by model: ``model``, ``mean`` (always the mean of the training part) and ``true
        class`` (what a head with classes can do at best).
    sample_rate : Hz.
    """

    scores: pd.DataFrame
    true: Sounds
    made: Mapping[str, Sounds]
    sample_rate: int

    def summary(self) -> pd.DataFrame:
        """Medians over sounds by model, and their number ``n``."""
        groups = self.scores.drop(columns="sound").groupby("model", sort=False)
        return groups.median().assign(n=groups.size())


def evaluate_audio(
    model: SpectralNetwork, data: VIMHDataModule, most: int = SOUNDS
) -> AudioEvaluation:
    """Make sounds of predicted parameters, and compare them with those of the true ones.

    True parameters are exact where the data set keeps them, else as precise as a byte is. Those
    that are predicted beyond a range are cut to it.

    Parameters
    ----------
    most : sounds of the test part, from its first on.

    Raises
    ------
    ConfigError
        The data set was made by a synthesiser that is not known here.
    ValueError
        Heads of the model that are not those of the data set, or no sounds.
    """
    if most < 1:
        raise ValueError(f"most must be >= 1, found {most}")
    check_heads(model.heads, data)
    synthesiser = synthesiser_of(data.data.metadata)
    test = samples_of(data.test_dataloader())
    references = reference_predictions(data, test, model.heads)
    predictions = {
        MODEL: model.predict(data.test_dataloader()),
        FLOOR: references[FLOOR],
        CEILING: references[CEILING],
    }
    true = synthesise(synthesiser, _true_values(data.data.test, most))
    made = {
        name: synthesise(synthesiser, _values(said, data.parameters, most))
        for name, said in predictions.items()
    }
    scores = pd.concat([_scores(name, true, sounds) for name, sounds in made.items()])
    return AudioEvaluation(scores.reset_index(drop=True), true, made, synthesiser.sample_rate)


def _true_values(part: VIMHSplit, most: int) -> dict[str, NDArray[np.float64]]:
    if part.exact is None:
        return {name: values[:most] for name, values in part.values.items()}
    return {p.name: part.exact.values[:most, i] for i, p in enumerate(part.parameters)}


def _values(
    said: Predictions, parameters: list[Parameter], most: int
) -> dict[str, NDArray[np.float64]]:
    """Within the ranges: the last class of a parameter may lie beyond its maximum."""
    return {p.name: said[p.name].values[:most].clip(p.min, p.max) for p in parameters}


def _scores(model: str, true: Sounds, made: Sounds) -> pd.DataFrame:
    scores = {
        "snr_db": reconstruction_snr(true, made),
        "pearson": sound_correlation(true, made),
        "stft_db": multiscale_stft_distance(true, made),
    }
    return pd.DataFrame({"sound": np.arange(len(true)), "model": model, **scores})
