"""Settings of the closed-form fit of connectivity."""

from __future__ import annotations

from pydantic import Field

from utils.config import Config
from utils.models.gnn.families import Messages
from utils.models.gnn.weak_form import Bumps
from utils.signals import DerivativeMethod
from utils.training.config import Device


class ConnectivitySettings(Config):
    """How :func:`~utils.models.gnn.fit.fit_connectivity` finds psi, phi and W."""

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
    phi_rows: int = Field(100, ge=1, description="rows from which the shapes of phi are learned")
    phi_shapes: int = Field(4, ge=1, description="curves, beside 1, that all phi are mixed of")
    iterations: int = Field(20, ge=0, description="steps on psi at most")
    tolerance: float = Field(0.03, gt=0, description="relative gain at which steps on psi end")
    max_frames: int | None = Field(None, ge=1, description="frames used for W; None: by size")
    held_out: float = Field(0.1, gt=0, lt=0.5, description="share of the frames, the last ones")
    device: Device = "auto"
