"""Settings of a fit of connectivity."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from utils.config import Config
from utils.models.gnn.config import GradientConfig
from utils.models.gnn.families import Messages
from utils.models.gnn.weak_form import Bumps
from utils.signals import DerivativeMethod
from utils.training.config import Device


class ConnectivitySettings(Config):
    """How :func:`~utils.models.gnn.fit.fit_connectivity` finds psi, phi and W.

    A fit by gradient has all of its settings in ``gradient``, but for those of the derivative, of
    types and the device.
    """

    method: Literal["variable_projection", "gradient"] = Field(
        "variable_projection",
        description="closed form but for psi, or all of a network by gradient",
    )
    gradient: GradientConfig = GradientConfig()
    estimate: DerivativeMethod | Bumps = Field(
        "savitzky_golay", description="of the derivative where none is given; test functions: weak"
    )
    messages: Messages = Field("same", description="types that psi depends on, see families.py")
    types: tuple[int, ...] | None = Field(
        None, description="of the neurons, where they are known; None: clusters of phi"
    )
    n_types: int | None = Field(None, ge=1, description="of neurons; None: estimated")
    max_types: int = Field(40, ge=2, description="largest number that an estimate tries")
    penalty: float | None = Field(
        None, ge=0, description="on W, in mean squares of the messages; None: by held-out frames"
    )
    psi_knots: int = Field(40, ge=4)
    phi_knots: int = Field(40, ge=4)
    psi_rows: int = Field(8, ge=1, description="rows of W from which psi is learned")
    message_shapes: tuple[PositiveInt, ...] = Field(
        (2, 3),
        min_length=1,
        description="that messages are mixed of, to find types which these depend on",
    )
    phi_rows: int = Field(100, ge=1, description="rows from which the shapes of phi are learned")
    phi_shapes: int = Field(4, ge=1, description="curves, beside 1, that all phi are mixed of")
    iterations: int = Field(20, ge=0, description="steps on psi at most")
    tolerance: float = Field(0.03, gt=0, description="relative gain at which steps on psi end")
    max_frames: int | None = Field(None, ge=1, description="frames used for W; None: by size")
    held_out: float = Field(0.1, gt=0, lt=0.5, description="share of the frames, the last ones")
    device: Device = "auto"

    @model_validator(mode="after")
    def _what_a_gradient_can_do(self) -> Self:
        if self.method != "gradient":
            return self
        if self.messages != "same":
            raise ValueError(
                f"messages: '{self.messages}' is for variable projection; "
                "with method 'gradient' choose gradient.model.psi_sees"
            )
        if self.gradient.model.psi_sees == "both_ends":
            raise ValueError(
                "gradient.model.psi_sees: a psi of both ends is no curve, which a ConnectivityFit "
                "is made of; choose another, or call fit_by_gradient"
            )
        if isinstance(self.estimate, Bumps):
            raise ValueError(
                "estimate: test functions average over frames, and a gradient needs the derivative "
                "of single ones; choose 'savitzky_golay' or 'finite_difference'"
            )
        return self
