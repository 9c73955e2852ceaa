"""A trained message model as a :class:`ConnectivityFit`, like one of the closed-form solver."""

from __future__ import annotations

import torch

from utils.models.gnn.connectivity_fit import ConnectivityFit
from utils.models.gnn.gradient import GradientFit, fit_by_gradient
from utils.models.gnn.settings import ConnectivitySettings
from utils.models.gnn.splines import natural_splines, quantile_knots
from utils.models.gnn.stream import FrameStream
from utils.models.gnn.types import find_types

KNOTS = 60


def connectivity_by_gradient(
    stream: FrameStream, settings: ConnectivitySettings, seed: int
) -> ConnectivityFit:
    """Train a message model on a recording."""
    trainer = settings.gradient.trainer.model_copy(update={"device": settings.device})
    fit = fit_by_gradient(
        *stream.with_derivative(),
        dt=stream.dt,
        inputs=stream.inputs,
        seed=seed,
        config=settings.gradient.model_copy(update={"trainer": trainer}),
    )
    return as_connectivity_fit(fit, settings)


def as_connectivity_fit(
    fit: GradientFit, settings: ConnectivitySettings | None = None
) -> ConnectivityFit:
    """W as it is, psi and phi as splines through their values; types are clusters of phi.

    Parameters
    ----------
    settings : types are found as they say.

    Raises
    ------
    ValueError
        A model whose psi sees both ends, which is no curve.
    """
    if fit.model.config.psi_sees == "both_ends":
        raise ValueError(
            "psi of this model depends on both ends, a ConnectivityFit's on the sender; "
            "use the GradientFit itself, or psi_sees='sender_embedding'"
        )
    settings = settings or ConnectivitySettings()
    learnt = fit.normalised
    knots = quantile_knots(learnt.levels, KNOTS)
    splines = natural_splines(knots)
    own = torch.from_numpy(learnt.phi_of_all(knots)).double()  # (knot, neuron)
    sent = torch.from_numpy(learnt.psi_of_all(knots)).double()
    senders = torch.arange(len(learnt.connectivity))
    if fit.model.config.psi_sees == "sender":
        sent, senders = sent[:, :1], torch.zeros_like(senders)
    phi = torch.from_numpy(learnt.phi_of_all(learnt.levels))
    types = find_types(phi, settings.n_types, settings.max_types, settings.types)
    return ConnectivityFit(
        connectivity=learnt.connectivity,
        types=types.labels,
        estimated_n_types=types.estimated_number,
        embeddings=types.embeddings,
        penalty=0.0,
        n_frames=fit.n_frames,
        dt=fit.dt,
        settings=settings,
        psi_curves=splines.mix(sent),
        senders=senders,
        phi_curves=splines,
        phi_weights=own,
    )
