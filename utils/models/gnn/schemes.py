"""Recurrent training and neural ODEs beside one another: what they recover, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

import pandas as pd
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from utils.metrics import connectivity_r2
from utils.models.gnn.config import (
    Derivative,
    GradientConfig,
    NeuralODE,
    OdeMethod,
    Recurrent,
    Scheme,
)
from utils.models.gnn.gradient import GradientFit, fit_by_gradient
from utils.models.gnn.messages import MessageModel

# evaluations of the model between two frames; dopri5 chooses, six for the whole window at least
EVALUATIONS = {"euler": 1, "midpoint": 2, "heun3": 3, "rk4": 4, "dopri5": 2}
EPOCHS = 5


def compare_schemes(
    activity: ArrayLike,
    derivative: ArrayLike,
    connectivity: ArrayLike,
    *,
    dt: float,
    inputs: ArrayLike | None = None,
    seed: int = 0,
    start: MessageModel | None = None,
    config: GradientConfig | None = None,
    evaluations: int = 3000,
    recurrent_steps: Sequence[int] = (1, 4, 16, 32, 64),
    ode_methods: Sequence[OdeMethod] = get_args(OdeMethod),
    ode_steps: int = 8,
) -> pd.DataFrame:
    """Train one model by every scheme and score its W against the truth.

    All schemes begin at the same model and may evaluate it as often, forwards and backwards, on a
    batch of windows: long windows cost more per step and get fewer steps.

    Parameters
    ----------
    activity, derivative, inputs : (time, neuron), see
        :func:`~utils.models.gnn.gradient.fit_by_gradient`.
    connectivity : (neuron, neuron) [post, pre], the truth.
    start : what all begin at; None: a model that was trained on single derivatives with as many
        evaluations.
    config : architecture, penalties and trainer for all.
    evaluations : of the model on a batch, per scheme.
    ode_steps : frames in the windows of neural ODEs.

    Returns
    -------
    One row per scheme, the start first: ``scheme``, ``steps`` (T), ``connectivity_r2`` (squared
    Pearson over all entries), ``first_loss`` and ``last_loss`` (validation, after the first and
    the last epoch), ``updates`` and ``seconds``.
    """
    config = config or GradientConfig()
    data = {"dt": dt, "inputs": inputs, "seed": seed}
    rows = []
    if start is None:
        fit = fit_by_gradient(
            activity, derivative, config=_budget(config, Derivative(), evaluations), **data
        )
        start = fit.model
        rows.append(_row("derivative", 0, fit, connectivity))
    schemes = list(_schemes(recurrent_steps, ode_methods, ode_steps))
    for scheme in tqdm(schemes, desc="schemes"):
        settings = _gentle(_budget(config, scheme, evaluations))
        fit = fit_by_gradient(activity, derivative, config=settings, start=start, **data)
        name = scheme.method if isinstance(scheme, NeuralODE) else scheme.type
        rows.append(_row(name, scheme.steps, fit, connectivity))
    return pd.DataFrame(rows)


def _schemes(
    recurrent_steps: Sequence[int], ode_methods: Sequence[OdeMethod], ode_steps: int
) -> Iterator[Recurrent | NeuralODE]:
    for steps in recurrent_steps:
        yield Recurrent(steps=steps)
    for method in ode_methods:
        yield NeuralODE(steps=ode_steps, method=method)


def _budget(config: GradientConfig, scheme: Scheme, evaluations: int) -> GradientConfig:
    """The scheme, in as many batches as the evaluations allow."""
    method = scheme.method if isinstance(scheme, NeuralODE) else "euler"
    cost = 1 if isinstance(scheme, Derivative) else scheme.steps * EVALUATIONS[method]
    batches = max(evaluations // (cost * EPOCHS), 1)
    limits = {
        "max_epochs": EPOCHS,
        "batches_per_epoch": batches,
        "validation_batches": min(config.trainer.validation_batches, batches),
        "progress": False,
    }
    trainer = config.trainer.model_copy(update=limits)
    return config.model_copy(update={"scheme": scheme, "trainer": trainer})


def _gentle(config: GradientConfig) -> GradientConfig:
    """Learning rates that improve a trained model and do not shake it."""
    rates = ("learning_rate", "connectivity_learning_rate", "embedding_learning_rate")
    slower = {name: getattr(config.trainer, name) / 5 for name in rates}
    return config.model_copy(update={"trainer": config.trainer.model_copy(update=slower)})


def _row(name: str, steps: int, fit: GradientFit, connectivity: ArrayLike) -> dict[str, object]:
    losses = fit.training.curves["validation_loss"]
    return {
        "scheme": name,
        "steps": steps,
        "connectivity_r2": connectivity_r2(fit.normalised.connectivity, connectivity),
        "first_loss": losses.iloc[0],
        "last_loss": losses.iloc[-1],
        "updates": fit.training.steps,
        "seconds": fit.training.seconds,
    }
