"""Spectral models: from images of sounds, or sounds, to the parameters that made them."""

from utils.models.folders import ModelFolderError
from utils.models.spectral.config import SpectralConfig, SpectralTrainer
from utils.models.spectral.experiment import SpectralExperiment
from utils.models.spectral.fit import SpectralFit, fit_spectral
from utils.models.spectral.heads import Head, HeadPrediction, heads_of
from utils.models.spectral.network import SpectralNetwork, build_network
from utils.models.spectral.store import load_model, read_about, save_model

__all__ = [
    "Head",
    "HeadPrediction",
    "ModelFolderError",
    "SpectralConfig",
    "SpectralExperiment",
    "SpectralFit",
    "SpectralNetwork",
    "SpectralTrainer",
    "build_network",
    "fit_spectral",
    "heads_of",
    "load_model",
    "read_about",
    "save_model",
]
