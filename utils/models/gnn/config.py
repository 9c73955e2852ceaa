"""Settings of the message model and of its training by gradient."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from utils.config import Config
from utils.training import TrainerConfig

Sees = Literal["sender", "sender_embedding", "both_ends"]
OdeMethod = Literal["dopri5", "rk4", "euler", "midpoint", "heun3"]


class MessageConfig(Config):
    """Architecture of :class:`~utils.models.gnn.messages.MessageModel`."""

    psi_sees: Sees = Field(
        "sender",
        description="psi(u_j), psi(u_j, a_j) or psi(u_j, a_j, u_i, a_i), the last edge-wise",
    )
    one_type: bool = Field(False, description="embeddings are fixed: all neurons are alike")
    embedding_dim: int = Field(2, ge=1)
    hidden: int = Field(64, ge=1, description="units of a hidden layer of psi and phi")
    layers: int = Field(3, ge=2, description="of psi and phi, the last one linear")
    rank: int | None = Field(None, ge=1, description="W = W_L W_R with so many columns and rows")
    edges_at_once: int = Field(
        200_000, ge=1, description="of all frames in a batch, held in memory where psi is edge-wise"
    )


class Derivative(Config):
    """Fit the derivative of single frames."""

    type: Literal["derivative"] = "derivative"


class Windows(Config):
    """What schemes share that run the model through windows of the recording."""

    steps: int = Field(16, ge=1, description="T, frames from the start of a window to its end")
    aligned: bool = Field(True, description="windows start at multiples of T, else anywhere")
    intermediate: NonNegativeFloat = Field(
        0.0, description="weight of the frames between start and end; 0: the end alone counts"
    )
    start_epoch: NonNegativeInt = Field(0, description="single derivatives are fitted before it")


class Recurrent(Windows):
    """Euler steps on the model's own predictions."""

    type: Literal["recurrent"] = "recurrent"
    noise: NonNegativeFloat = Field(0.0, description="sd added to the state in each training step")


class NeuralODE(Windows):
    """Integrate the model between frames with a solver of torchdiffeq."""

    type: Literal["ode"] = "ode"
    method: OdeMethod = "rk4"
    rtol: PositiveFloat = Field(1e-3, description="relative tolerance of dopri5")
    atol: PositiveFloat = Field(1e-3, description="absolute tolerance of dopri5")
    adjoint: bool = Field(False, description="gradients by the adjoint ODE: memory does not grow")
    clamp: PositiveFloat | None = Field(
        None, description="the model sees states within +-clamp, which tames diverging trajectories"
    )


Scheme = Annotated[Derivative | Recurrent | NeuralODE, Field(discriminator="type")]


class Penalties(Config):
    """Weights of what is added to the loss in training; 0 switches a term off.

    The loss is in units of the variance of the derivative, W and psi in those of the model.
    """

    l1: NonNegativeFloat = Field(0.0, description="mean absolute entry of W")
    first_phase_l1: NonNegativeFloat = Field(0.0, description="the same, in the first phase")
    first_phase_epochs: NonNegativeInt = 0
    l2: NonNegativeFloat = Field(0.0, description="mean squared entry of W")
    monotone: NonNegativeFloat = Field(0.0, description="psi that falls: relu(psi(u) - psi(u+du))")
    psi_norm: NonNegativeFloat = Field(0.0, description="(psi - 1)^2 at `reference`")
    reference: float = Field(2.0, description="activity, in sd, where psi is to be 1")
    phi_at_zero: NonNegativeFloat = Field(0.0, description="phi(0, a_i)^2")
    dale: NonNegativeFloat = Field(0.0, description="columns of W with both signs")


class Dale(Config):
    """From an epoch on, outgoing weights of a neuron have the sign of their sum by then."""

    from_epoch: NonNegativeInt = Field(5, description="signs must be known well by then")


class Clustering(Config):
    """Every few epochs the embedding of each neuron becomes the median of its type's."""

    every: int = Field(10, ge=1, description="epochs; in those between, the model is refitted")
    n_types: int | None = Field(None, ge=1, description="None: estimated")
    max_types: int = Field(10, ge=2, description="largest number that is tried")


class MessageTrainer(TrainerConfig):
    """What all models share; rates of their own for W and the embeddings."""

    max_epochs: int = Field(30, ge=1)
    batches_per_epoch: int = Field(200, ge=1)
    validation_batches: int = Field(10, ge=1)
    batch_size: int = Field(8, ge=1, description="frames or windows")
    learning_rate: float = Field(3e-3, gt=0, description="of psi and phi")
    connectivity_learning_rate: float = Field(3e-3, gt=0)
    embedding_learning_rate: float = Field(1e-2, gt=0)
    weight_decay: float = Field(0.0, ge=0, description="of psi and phi")
    patience: int = Field(1000, ge=1, description="epochs without a better validation loss")
    precision: Literal["auto", "32-true", "bf16-mixed"] = "32-true"


class GradientConfig(Config):
    """Training of a message model by gradient."""

    model: MessageConfig = MessageConfig()
    scheme: Scheme = Derivative()
    penalties: Penalties = Penalties()
    dale: Dale | None = None
    clustering: Clustering | None = None
    trainer: MessageTrainer = MessageTrainer()
    validation_fraction: float = Field(0.1, gt=0, lt=1, description="of the frames, the last ones")
    frames_in_memory: int = Field(
        200_000, ge=1, description="an epoch draws from one stretch of so many frames, or from all"
    )

    @model_validator(mode="after")
    def _dale_needs_single_weights(self) -> Self:
        if self.dale is not None and self.model.rank is not None:
            raise ValueError(
                "'dale' bounds single weights, which a W of low rank does not have; "
                "use penalties.dale, or rank=None"
            )
        return self
