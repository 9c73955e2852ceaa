"""Making VIMH data sets from a synthesiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.datasets.vimh.metadata import FORMAT, VERSION, parameters_of
from utils.datasets.vimh.naming import dataset_name, image_suffix
from utils.datasets.vimh.parameters import LEVELS, Parameter, quantise
from utils.datasets.vimh.records import HEADER_BYTES, VIMH, VIMHSplit, make_records
from utils.datasets.vimh.sidecar import Exact
from utils.signals.spectra import SpectrogramConfig, add_envelopes
from utils.simulation.synthesis import (
    Sampling,
    SynthesiserConfig,
    draw_parameters,
    synthesise_images,
    synthesiser_config,
)

TRAIN_SHARE = 0.8
IMAGES_AT_ONCE = 1024  # whose envelopes are made
WITHOUT_ENVELOPES = dict(temporal_envelope=False, spectral_envelope=False, normalized=False)
CHANNEL_LABELS = {1: ["Gray"], 3: ["R", "G", "B"]}


def generate_vimh(
    config: SynthesiserConfig | Mapping[str, Any] | str,
    n_samples: int,
    *,
    sampling: Sampling = "uniform",
    seed: int = 0,
    channels: int = 1,
    shuffle: bool = False,
) -> VIMH:
    """Draw parameters, make their sounds and images; the first four fifths are for training.

    Parameters
    ----------
    config : a synthesiser, or the name of one; its ``image`` says which envelopes are added.
    sampling : of the parameters, see :func:`utils.simulation.synthesis.draw_parameters`.
    channels : 1, or 3 equal ones for networks that expect colour; without envelopes.
    shuffle : put the samples into another order first, as a grid needs it.

    Returns
    -------
    A data set in memory, with the exact parameters and levels of a sidecar. To write it:
    ``write_vimh(vimh, folder / vimh.metadata["dataset_name"])``.

    Raises
    ------
    ConfigError
        An unknown synthesiser, setting or sampling.
    ValueError
        No samples, or several plain channels beside envelopes.
    """
    config = synthesiser_config(config)
    _check(config.image, n_samples, channels)
    drawn = draw_parameters(config, n_samples, sampling, seed)
    if shuffle:
        order = np.random.default_rng([seed, n_samples]).permutation(n_samples)
        drawn = {name: values[order] for name, values in drawn.items()}
    images, scale, decibels = _images(config, drawn, channels)
    metadata = _metadata(config, n_samples, images.shape[1], shuffle)
    parameters = parameters_of(metadata)
    values = np.empty((n_samples, len(parameters)))
    for place, parameter in enumerate(parameters):
        values[:, place] = drawn[parameter.name]
    records = make_records(images, _codes(values, parameters), scale)
    n_train = metadata["train_samples"]
    train, test = (
        VIMHSplit(records[part], parameters, Exact(values[part], decibels[part]))
        for part in (slice(n_train), slice(n_train, None))
    )
    return VIMH(train, test, metadata)


def _check(image: SpectrogramConfig, n_samples: int, channels: int) -> None:
    if n_samples < 1:
        raise ValueError(f"n_samples must be >= 1, found {n_samples}")
    if channels not in CHANNEL_LABELS or (channels > 1 and image.n_channels > 1):
        raise ValueError(f"channels must be 1, or 3 without envelopes, found {channels}")


def _images(
    config: SynthesiserConfig, drawn: Mapping[str, NDArray], channels: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """(n, C, H, W) images, (n, 2) range of their values, (n, 2) range of the spectra in dB."""
    plain = config.model_copy(update={"image": config.image.model_copy(update=WITHOUT_ENVELOPES)})
    images, decibels = synthesise_images(plain, drawn, progress=True)
    if config.image.n_channels == 1:
        return images.repeat(channels, axis=1), decibels, decibels
    blocks = [
        add_envelopes(images[first : first + IMAGES_AT_ONCE], config.image)
        for first in range(0, len(images), IMAGES_AT_ONCE)
    ]
    stacks, scale = (np.concatenate(arrays) for arrays in zip(*blocks))
    return stacks, scale, decibels


def _codes(values: NDArray[np.float64], parameters: tuple[Parameter, ...]) -> NDArray[np.uint8]:
    codes = np.empty(values.shape, np.uint8)
    for place, parameter in enumerate(parameters):
        codes[:, place] = quantise(values[:, place], parameter.min, parameter.max)
    return codes


def _metadata(
    config: SynthesiserConfig, n_samples: int, channels: int, shuffled: bool
) -> dict[str, Any]:
    """The JSON file, with its keys in the order of the format."""
    image, n_train = config.image, int(TRAIN_SHARE * n_samples)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "dataset_name": "",
        "output_format": "binary",
        "height": image.height,
        "width": image.width,
        "channels": channels,
        "channel_labels": _channel_labels(image, channels),
        "varying_parameters": len(config.varying),
        "parameter_names": list(config.varying),
        "train_samples": n_train,
        "test_samples": n_samples - n_train,
        "total_samples": n_samples,
        "n_samples": n_samples,
        "sample_rate": config.sample_rate,
        "duration": config.duration,
        "synth_type": config.synth_type,
        "image_size": f"{image.height}x{image.width}x{channels}",
        **_parameter_entries(config),
        "pre_emphasis_coefficient": image.pre_emphasis,
        **_spectrum_entries(image),
        "label_encoding": _label_encoding(),
    }
    suffix = image_suffix(image.temporal_envelope, image.spectral_envelope, image.normalized)
    return metadata | {"dataset_name": dataset_name(metadata, suffix, shuffled)}


def _channel_labels(image: SpectrogramConfig, channels: int) -> list[str]:
    if image.n_channels == 1:
        return CHANNEL_LABELS[channels]
    labels = ["Gray_normalized" if image.normalized else "Gray"]
    labels += ["Gray_temporal_envelope"] * image.temporal_envelope
    return labels + ["Gray_spectral_envelope"] * image.spectral_envelope


def _parameter_entries(config: SynthesiserConfig) -> dict[str, Any]:
    mappings = {
        name: {
            "min": p.min,
            "step": p.class_width,
            "max": p.max,
            "description": f"{config.synth_type} parameter: {name}",
        }
        for name, p in config.parameters.items()
    }
    fixed = {
        name: {"value": p.min, "description": p.description or f"Fixed {name}"}
        for name, p in config.parameters.items()
        if not p.varies
    }
    return {"parameter_mappings": mappings, "fixed_parameters": fixed}


def _spectrum_entries(image: SpectrogramConfig) -> dict[str, Any]:
    return {
        "spectrogram_config": {
            "sample_rate": image.sample_rate,
            "type": image.type,
            "n_fft": image.n_fft,
            "n_window": image.n_window,
            "hop_length": image.hop_length,
            "window_type": image.window_type,
            "bins_per_harmonic": 1.0,  # of no effect; the format has it
            "n_bins": image.height,
            "method": "efficient_leaf",  # a label of the format
        },
        "mel_config": {"freq_min": image.freq_min, "freq_max_ratio": image.freq_max_ratio},
    }


def _label_encoding() -> dict[str, Any]:
    return {
        "format": "[height] [width] [channels] [spec_min] [spec_max] [N] [param1_id] [param1_val] "
        "[param2_id] [param2_val] ...",
        "metadata_bytes": HEADER_BYTES,
        "scale_factors": {
            "spec_min": "float32 - minimum dB value before normalization",
            "spec_max": "float32 - maximum dB value before normalization",
        },
        **{key: [0, LEVELS] for key in ("N_range", "param_id_range", "param_val_range")},
    }
