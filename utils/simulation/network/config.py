"""What a simulated network is: one configuration that fixes every number of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic import model_validator as check

from utils.config import Config, config_hash, validate_config
from utils.simulation.network.families import FAMILIES

VERSION = 1  # of the simulator: a change of its numbers must not reuse old files

Fraction = Annotated[float, Field(ge=0, le=1)]
ActivationName = Literal["tanh", "sigmoid", "relu", "identity"]


class _Settings(Config):
    model_config = ConfigDict(allow_inf_nan=False)


class Transfer(_Settings):
    """amplitude * function(u / slope), what receivers of one type make of a sender's activity."""

    function: ActivationName = "tanh"
    amplitude: float = 1.0
    slope: PositiveFloat = 1.0


class Input(_Settings):
    """I_i(t) is added to du_i/dt, or multiplies the message that a neuron receives."""

    mode: Literal["additive", "multiplicative"] = "additive"
    amplitude: NonNegativeFloat = 1.0
    offset: float = 0.0  # 1 keeps the message as it is on average, where I multiplies it


class Oscillation(Input):
    """e_i cos(2 pi f t), e_i uniform in +- amplitude."""

    type: Literal["oscillation"] = "oscillation"
    frequency: PositiveFloat = 0.1  # cycles per unit of time


class Impulses(Input):
    """At each trigger a few neurons get an impulse, and all an oscillation: the burst."""

    type: Literal["impulses"] = "impulses"
    interval: PositiveInt = 1000  # frames from trigger to trigger, on average
    duration: PositiveInt = 200  # frames of a burst
    frequency: PositiveFloat = 1.0  # of a burst, times a factor between 0.5 and 2
    strength: float = 5.0  # of the impulse, which lasts one frame
    n_targets: PositiveInt = 10  # neurons that get the impulse


class Movie(Input):
    """A movie of drifting waves; each neuron sees one place of it."""

    type: Literal["movie"] = "movie"
    n_waves: PositiveInt = 16
    wavelength: PositiveFloat = 0.5  # in widths of the movie, times a factor between 0.5 and 2
    frequency: PositiveFloat = 0.2  # largest, cycles per unit of time


class Calcium(_Settings):
    """Ca += dt/tau (s(u) - Ca); F = alpha Ca + beta, or alpha Ca / (1 + abs(Ca)/saturation)."""

    activation: Literal["softplus", "relu", "tanh", "identity"] = "softplus"  # tanh: 1 + tanh
    tau: PositiveFloat = 0.5  # in units of time
    alpha: float = 1.0
    beta: float = 0.0
    saturation: PositiveFloat | None = None  # Ca at which F has half its largest value


class NetworkConfig(_Settings):
    """A network, its run and how it is observed. Time is dimensionless, in units of dt."""

    n_neurons: PositiveInt = 1000
    n_frames: PositiveInt = 100_000
    warm_up: NonNegativeInt = 1000  # frames before the first that is kept
    dt: PositiveFloat = 0.01
    seed: NonNegativeInt = 0
    start_seed: NonNegativeInt | None = None  # of another start; None: the one that seed gives

    family: Literal["N2", "N3", "N4", "N5", "N6", "N7", "N11"] = "N2"
    n_types: PositiveInt = 4
    gain: float = 10.0  # g of all types
    parameters: dict[str, tuple[float, ...]] = {}  # other than the default, one value per type
    phi: ActivationName = "tanh"
    transfers: tuple[Transfer, ...] = ()  # N11: one per type; empty: phi of slopes 1, 2, 4, 8

    connectivity: Literal[
        "lorentz", "gaussian", "low_rank", "uniform", "ring", "successor", "null", "blocks"
    ] = "lorentz"
    rank: PositiveInt = 20  # of low_rank
    positive_blocks: Fraction = 0.5  # blocks: chance that a pair of types excites
    dale: Fraction | None = None  # fraction of senders that excite, the first ones; None: mixed
    sparsity: Annotated[float, Field(gt=0, le=1)] = 1.0  # chance that an entry is kept

    input: Annotated[Oscillation | Impulses | Movie, Field(discriminator="type")] | None = None
    process_noise: NonNegativeFloat = 0.0  # sd per step, whatever dt is (no sqrt(dt))
    calcium: Calcium | None = None
    measurement_noise: NonNegativeFloat = 0.0  # sd, of what is observed only

    @property
    def hash(self) -> str:
        """12 hexadecimal digits that change with every setting."""
        return config_hash({"version": VERSION, **self.model_dump(mode="json")}, length=12)

    @check(mode="after")
    def _check(self) -> Self:
        known = FAMILIES[self.family].parameters
        for name, values in self.parameters.items():
            if name not in known:
                raise ValueError(
                    f"parameters: {self.family} has no '{name}', but {', '.join(known)}"
                )
            if len(values) != self.n_types:
                raise ValueError(
                    f"parameters: '{name}' has {len(values)} values for {self.n_types} types"
                )
            if name in ("w", "tau") and min(values) <= 0:
                raise ValueError(f"parameters: '{name}' must be positive, found {values}")
        if self.transfers and (self.family != "N11" or len(self.transfers) != self.n_types):
            raise ValueError("transfers: only N11 has them, one for each of its n_types")
        if self.connectivity == "blocks" and self.dale is not None:
            raise ValueError("dale: blocks have the signs of pairs of types; leave out one of them")
        if self.calcium and self.calcium.tau < self.dt:
            raise ValueError(f"calcium.tau: {self.calcium.tau} is shorter than dt = {self.dt}")
        return self


def network_config(
    config: NetworkConfig | Mapping[str, Any] | None = None, **settings: Any
) -> NetworkConfig:
    """The configuration with ``settings`` in place of its own.

    Raises
    ------
    ConfigError
        An unknown or wrong setting, named.
    """
    given = config.model_dump() if isinstance(config, NetworkConfig) else dict(config or {})
    return validate_config(NetworkConfig, {**given, **settings}, where="simulated network")
