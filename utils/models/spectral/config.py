"""Settings of spectral models: front end, network, loss and training, each chosen by ``type``.

``{type: cnn, size: tiny}`` is a network in YAML. A size is named after the parameters that it has
on images of 32 x 32 with the two heads (3 and 24 classes) of the decaying sawtooth.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from utils.config import Config
from utils.signals.spectra import SpectrogramConfig
from utils.training import TrainerConfig

# --- front ends: from inputs to images ---------------------------------------------------------


class ImageFrontEndConfig(Config):
    """Inputs are images already."""

    type: Literal["image"] = "image"


class SpectrumFrontEndConfig(Config):
    """Sounds to the images of :mod:`utils.signals.spectra`, without rounding to grey levels."""

    type: Literal["stft", "mel"]
    spectrogram: SpectrogramConfig = SpectrogramConfig()


class LeafFrontEndConfig(Config):
    """Sounds through learned Gabor filters and a learned compression, see ``leaf.py``."""

    type: Literal["leaf"] = "leaf"
    spectrogram: SpectrogramConfig = SpectrogramConfig()  # where filters begin
    compression: Literal["log", "pcen"] = "log"


FrontEndConfig = Annotated[
    ImageFrontEndConfig | SpectrumFrontEndConfig | LeafFrontEndConfig, Field(discriminator="type")
]

# --- networks: from images to features ---------------------------------------------------------


class CNNConfig(Config):
    """Two convolutions, each with normalisation and pooling, and a hidden layer.

    The original has ``norm`` batch and ``pool`` max. Statistics of a batch add noise to what is to
    be measured finely; ``layer`` looks at one image alone.
    """

    type: Literal["cnn"] = "cnn"
    size: Literal["micro", "tiny", "64k", "large"] = "tiny"
    norm: Literal["layer", "batch"] = "layer"
    pool: Literal["mean", "max"] = "mean"
    dropout: float = Field(0.0, ge=0, lt=1, description="of the inputs of the hidden layer")


class ViTConfig(Config):
    """A vision transformer on patches of so many frequencies and times."""

    type: Literal["vit"] = "vit"
    size: Literal["23k", "38k", "116k"] = "38k"
    patch: tuple[PositiveInt, PositiveInt] = (8, 8)
    dropout: float = Field(0.0, ge=0, lt=1)


class ConvNeXtConfig(Config):
    """ConvNeXt V2 (Woo et al. 2023) in two stages, each of which halves the image first."""

    type: Literal["convnext"] = "convnext"
    size: Literal["18k", "70k", "288k"] = "70k"


class DenseConfig(Config):
    """Fully connected layers on the pixels."""

    type: Literal["dense"] = "dense"
    hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (128, 64)
    dropout: float = Field(0.0, ge=0, lt=1)


NetworkConfig = Annotated[
    CNNConfig | ViTConfig | ConvNeXtConfig | DenseConfig, Field(discriminator="type")
]

# --- losses: formulas in losses.py -------------------------------------------------------------


class CrossEntropyConfig(Config):
    """Cross entropy of the classes."""

    type: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share spread over all classes")


class OrdinalConfig(Config):
    """Distance of the mean class, and a little cross entropy."""

    type: Literal["ordinal"] = "ordinal"
    alpha: NonNegativeFloat = Field(0.1, description="weight of the cross entropy")


class QuantisedConfig(Config):
    """Distance of one output, in classes."""

    type: Literal["quantised"] = "quantised"


class WeightedConfig(Config):
    """Cross entropy, and the probability of other classes by their squared distance."""

    type: Literal["weighted"] = "weighted"


class RegressionConfig(Config):
    """Squared error of one output between the ends of the range."""

    type: Literal["regression"] = "regression"


class SoftConfig(Config):
    """Divergence from targets that spread over neighbouring classes."""

    type: Literal["soft"] = "soft"
    shape: Literal["triangular", "exponential", "gaussian"] = "triangular"
    width: NonNegativeInt = Field(1, description="classes on each side; no target beyond them")
    deviation: PositiveFloat = Field(1.0, description="of gaussian targets, classes")
    centre: Literal["class", "value"] = Field(
        "class", description="value: where the parameter lies between two classes"
    )
    hard: float = Field(0.0, ge=0, le=1, description="share of the target at the class itself")


LossConfig = Annotated[
    CrossEntropyConfig
    | OrdinalConfig
    | QuantisedConfig
    | WeightedConfig
    | RegressionConfig
    | SoftConfig,
    Field(discriminator="type"),
]

# --- all of them -------------------------------------------------------------------------------


class SpectralTrainer(TrainerConfig):
    """How spectral models are trained; ``one_cycle`` warms up first (Smith and Topin 2019)."""

    max_epochs: int = Field(40, ge=1)
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(3e-3, gt=0)
    patience: int = Field(1000, ge=1)  # the schedule counts on all epochs
    schedule: Literal["constant", "cosine", "one_cycle"] = "one_cycle"
    warm_up: float = Field(0.2, gt=0, lt=1, description="one_cycle: share of the steps that rise")


class SpectralConfig(Config):
    """A model and how it is trained.

    Attributes
    ----------
    head_weights : of heads in the total loss, by name; 1 where not given.
    auxiliary_hidden : units that inputs beside the image pass through.
    """

    front_end: FrontEndConfig = ImageFrontEndConfig()
    network: NetworkConfig = CNNConfig()
    loss: LossConfig = CrossEntropyConfig()
    head_weights: dict[str, NonNegativeFloat] = {}
    auxiliary_hidden: PositiveInt = 16
    trainer: SpectralTrainer = SpectralTrainer()
