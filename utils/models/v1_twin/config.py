"""Configurations of the V1 twin: one pydantic class per stage and type, chosen by ``type``.

``{type: convgru, channels: 128}`` is a stage in YAML; ``TwinConfig`` holds one of each. Kernels and
pools are ``[time, height, width]`` in frames and pixels.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from utils.config import Config

Size = tuple[PositiveInt, PositiveInt, PositiveInt]  # (time, height, width)
Grid = tuple[PositiveInt, PositiveInt]  # (height, width)
Activation = Literal[
    "identity",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "softplus",
    "tanh",
    "sigmoid",
    "square",
    "splitrelu",  # [relu(x), relu(-x)]: twice the channels
    "splitsquare",  # their squares: what simple cells pass on, and complex cells add up
]
PointActivation = Literal["relu", "elu", "gelu", "silu", "softplus", "tanh"]
Norm = Literal["none", "batch", "instance", "layer", "rms", "group", "grn", "divisive"]


class NoStage(Config):
    """A stage that is left out."""

    type: Literal["none"] = "none"


# --- adapter: one per data set ------------------------------------------------------------------


class AffineAdapterConfig(Config):
    """A learned blur and an affine resampling onto a grid that all data sets share."""

    type: Literal["affine"] = "affine"
    grid: Grid = (51, 51)
    blur: float = Field(0.25, gt=0, description="initial sd of the Gaussian blur, pixels")


# --- frontend -----------------------------------------------------------------------------------


class LearnedTemporalConfig(Config):
    """Temporal filters for every pixel: a valid convolution over ``kernel`` frames."""

    type: Literal["learned_temporal"] = "learned_temporal"
    kernel: PositiveInt = 16
    channels: PositiveInt = 4
    init: Literal["gaussian_derivatives", "biphasic", "identity"] = "gaussian_derivatives"
    bias: bool = False


class TemporalBasisConfig(Config):
    """Fixed raised cosines over the last ``kernel`` frames, one channel each."""

    type: Literal["temporal_basis"] = "temporal_basis"
    kernel: PositiveInt = 16
    channels: PositiveInt = 6


class ConvFrontendConfig(Config):
    """One convolution over time and space, valid in both."""

    type: Literal["conv"] = "conv"
    kernel: Size = (16, 1, 1)
    channels: PositiveInt = 4
    activation: Activation = "identity"
    bias: bool = True


class DynamicAdaptationConfig(Config):
    """Photoreceptor adaptation, r = alpha y / (1 + beta z) (Clark et al. 2013)."""

    type: Literal["dynamic_adaptation"] = "dynamic_adaptation"
    kernel: PositiveInt = Field(32, description="frames after which the filters are cut off")
    alpha: float = 1.0
    beta: float = 8e-5
    gamma: float = Field(0.5, ge=0, le=1, description="share of the fast filter in the slow one")
    tau_fast_ms: float = Field(5.0, gt=0)
    tau_slow_ms: float = Field(60.0, gt=0)
    order_fast: PositiveInt = 5
    order_slow: PositiveInt = 2
    rate_hz: float = Field(120.0, gt=0, description="frames per second")


# --- convnet ------------------------------------------------------------------------------------


class PoolConfig(Config):
    """Pooling over ``size``; over time it keeps every frame (see ``phases.py``)."""

    type: Literal["max", "avg", "antialias"] = "max"
    size: Size = (1, 2, 2)


class BlockConfig(Config):
    """Convolution, norm, activation, pooling, dropout.

    Causal with replicated first frame in time, valid in space unless frames get a margin of zeros.
    """

    type: Literal["standard", "depthwise"] = "standard"
    channels: PositiveInt = Field(description="outputs of the convolution")
    kernel: Size = (1, 3, 3)
    stride_space: PositiveInt = 1
    margin: NonNegativeInt = Field(0, description="pixels of zeros around each frame")
    bias: bool = True
    norm: Norm = "none"
    norm_groups: PositiveInt = Field(8, description="groups of norm 'group'")
    norm_frames: PositiveInt = Field(1, description="frames that norm 'divisive' pools over")
    activation: Activation = "splitrelu"
    pool: PoolConfig | None = None
    dropout: float = Field(0.0, ge=0, lt=1)
    weight_norm: bool = False
    init: Literal["default", "gabor", "biphasic"] = Field(
        "default", description="gabor: filters in space; biphasic: filters in time"
    )


class ConvNetConfig(Config):
    """A stem without shortcut, then blocks: plain, with shortcuts, or densely connected."""

    type: Literal["vanilla", "resnet", "densenet"]
    stem: BlockConfig | None = None
    blocks: tuple[BlockConfig, ...] = Field(min_length=1)


# --- modulator ----------------------------------------------------------------------------------


class ModulatorConfig(Config):
    """What a network of the behaviour does to the features.

    ``concat`` adds its outputs as channels; ``film`` scales and shifts every feature; ``convgru``
    lets a recurrent stage of ``channels`` features run on features and outputs together.
    """

    type: Literal["concat", "film", "convgru"]
    hidden: tuple[PositiveInt, ...] = Field((64, 64), min_length=1)
    activation: PointActivation = "gelu"
    dropout: float = Field(0.0, ge=0, lt=1)
    channels: PositiveInt = Field(128, description="of 'convgru'")
    kernel: PositiveInt = Field(3, description="of 'convgru', pixels")


# --- recurrent ----------------------------------------------------------------------------------


class RecurrentConfig(Config):
    """A recurrence over frames: convolutional, or per place (gru, lstm: a kernel of one pixel)."""

    type: Literal["convgru", "gru", "lstm"]
    channels: PositiveInt = 128
    kernel: PositiveInt = Field(3, description="of 'convgru', pixels")
    update_bias: float = Field(1.0, description="of convgru and gru: initial, of their update gate")


# --- readout and history: one per data set ------------------------------------------------------


class GaussianReadoutConfig(Config):
    """A place (rotated Gaussian) and weights of the features per cell."""

    type: Literal["gaussian"] = "gaussian"
    std: float = Field(5.0, gt=0, description="initial sd of the mask, pixels of the features")


class LinearReadoutConfig(Config):
    """A weight per feature and pixel for every cell."""

    type: Literal["linear"] = "linear"


class HistoryConfig(Config):
    """A network of all cells' last ``lags`` responses, added to the drive."""

    type: Literal["mlp"] = "mlp"
    lags: PositiveInt = 10
    hidden: tuple[PositiveInt, ...] = (32, 10)
    activation: PointActivation = "relu"
    spectral_norm: bool = False


# --- the twin -----------------------------------------------------------------------------------

AdapterConfig = Annotated[NoStage | AffineAdapterConfig, Field(discriminator="type")]
FrontendConfig = Annotated[
    NoStage
    | LearnedTemporalConfig
    | TemporalBasisConfig
    | ConvFrontendConfig
    | DynamicAdaptationConfig,
    Field(discriminator="type"),
]
ReadoutConfig = Annotated[GaussianReadoutConfig | LinearReadoutConfig, Field(discriminator="type")]


class TwinConfig(Config):
    """All stages of a twin; ``behavior_only`` leaves out the stimulus and its stages."""

    behavior_only: bool = False
    adapter: AdapterConfig = NoStage()
    frontend: FrontendConfig = NoStage()
    convnet: Annotated[NoStage | ConvNetConfig, Field(discriminator="type")] = NoStage()
    modulator: Annotated[NoStage | ModulatorConfig, Field(discriminator="type")] = NoStage()
    recurrent: Annotated[NoStage | RecurrentConfig, Field(discriminator="type")] = NoStage()
    readout: ReadoutConfig = GaussianReadoutConfig()
    history: Annotated[NoStage | HistoryConfig, Field(discriminator="type")] = NoStage()
    output: Literal["softplus", "relu", "exp", "identity"] = Field(
        "softplus", description="from drive to counts per bin; 'identity' for dF/F"
    )

    @model_validator(mode="after")
    def _behavior_only_has_no_visual_stage(self) -> TwinConfig:
        if not self.behavior_only:
            return self
        for stage in ("adapter", "frontend", "convnet"):
            if getattr(self, stage).type != "none":
                raise ValueError(f"behavior_only needs '{stage}' of type none")
        if self.modulator.type in ("none", "film"):
            raise ValueError("behavior_only needs a 'modulator' of type concat or convgru")
        return self


class TwinDataset(Config):
    """What a twin needs to know of a data set."""

    name: str = Field(pattern=r"^[^.]+$", description="adapters and readouts go by it; no dots")
    cell_ids: tuple[int, ...] = Field(min_length=1, description="one unit of the readout each")
    behavior_dims: NonNegativeInt = 0
    stimulus_channels: NonNegativeInt = 1
    grid: Grid = (51, 51)
