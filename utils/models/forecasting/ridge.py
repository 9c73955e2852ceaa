"""Exact ridge maps from own lags and shared features to all frames ahead, from moments alone.

The block of the shared features is the same for all neurons, so it is diagonalised once, for all
penalties; what remains per neuron (the Schur complement) is as small as its own lags.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from utils.models.forecasting.moments import Features, Moments

NOTHING = 1e-12  # a variance that counts as none


class Maps(NamedTuple):
    """Linear maps of some neurons, about the centre."""

    own: Tensor  # (neuron, horizon, own lag)
    shared: Tensor  # (neuron, horizon, feature)
    bias: Tensor  # (neuron, horizon)


def penalised_basis(features: Features, penalty: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and basis that make the covariance diagonal and ``penalty`` the identity.

    ``penalty`` (feature,) are the diagonal entries for strength 1. In features times the basis,
    the ridge of strength s divides by ``eigenvalues + s``.
    """
    root = penalty.clamp(min=NOTHING).rsqrt()
    scaled = root[:, None] * features.covariance * root
    eigenvalues, vectors = np.linalg.eigh(scaled.numpy())
    basis = root[:, None] * torch.from_numpy(vectors)
    return torch.from_numpy(eigenvalues).clamp(min=0), basis


def ridge_maps(moments: Moments, own_ridge: float, inverse: Tensor) -> Maps:
    """Maps with a free intercept, for features that are uncorrelated and equally penalised.

    ``inverse`` (feature,) is one over variance plus penalty; ``own_ridge`` is in units of the
    mean variance of the own lags. Neurons that do not vary, or with fewer complete windows than
    the part has frames, get their mean alone.
    """
    n, lags = moments.own_lags, slice(moments.own_lags)
    ahead = slice(n, None)
    variances = moments.covariance.diagonal(dim1=1, dim2=2)
    variance = (variances[:, lags] if n else variances).mean(dim=1)
    usable = ((variance > NOTHING) & (moments.count >= variances.shape[1]))[:, None, None]
    penalty = torch.where(usable, own_ridge * variance[:, None, None], 1.0)
    weighted = moments.cross[:, lags] * inverse
    schur = moments.covariance[:, lags] - (weighted @ moments.cross.mT).double()
    inner = torch.where(usable, schur[:, :, lags], 0.0) + penalty * torch.eye(n).double()
    own = _solve(inner, schur[:, :, ahead]).mT * usable
    left = moments.cross[:, ahead] - own.to(inverse.dtype) @ moments.cross[:, lags]
    shared = left * inverse * usable
    bias = moments.mean[:, ahead] - (own @ moments.mean[:, lags, None])[..., 0]
    return Maps(own, shared, bias - shared @ moments.features.mean)


def own_part(recent: Tensor, maps: Tensor) -> Tensor:
    """Own lags (batch, lag, neuron) times maps (neuron, horizon, lag): (batch, horizon, neuron).

    As ``einsum`` would, but in the order of memory that its products over neurons want.
    """
    return (recent.permute(2, 0, 1).contiguous() @ maps.mT).permute(1, 2, 0)


def shared_part(recent: Tensor, maps: Tensor) -> Tensor:
    """Shared lags (batch, lag, series) times maps (neuron, horizon, lag, series).

    One product for all neurons -> (batch, horizon, neuron).
    """
    futures = recent.flatten(1) @ maps.flatten(2).flatten(0, 1).T
    return futures.unflatten(1, maps.shape[:2]).mT


def squared_error(moments: Moments, maps: Maps) -> float:
    """Sum over windows, horizons and neurons of the squared error of the maps."""
    own, shared, bias = maps
    lags, ahead = slice(moments.own_lags), slice(moments.own_lags, None)
    covariance, cross = moments.covariance, moments.cross
    offset = moments.mean[:, ahead] - (own @ moments.mean[:, lags, None])[..., 0] - bias
    offset = offset - shared @ moments.features.mean
    # of the residual: what the own lags leave, then what the shared features take from that
    left = covariance[:, ahead, ahead].diagonal(dim1=1, dim2=2).sum()
    left -= 2 * (own * covariance[:, ahead, lags]).sum()
    left += (own @ covariance[:, lags, lags] * own).sum()
    left -= 2 * (shared * (cross[:, ahead] - own.to(cross.dtype) @ cross[:, lags])).sum()
    left += (moments.features.covariance * second_moment(shared)).sum()
    return moments.count * float(left + offset.square().sum())


def second_moment(shared: Tensor) -> Tensor:
    """Sum over neurons and horizons of shared maps times themselves, (feature, feature)."""
    rows = shared.flatten(0, 1)
    return rows.T @ rows


def _solve(matrices: Tensor, sides: Tensor) -> Tensor:
    """Many small systems; numpy, because threads would only wait for each other."""
    return torch.from_numpy(np.linalg.solve(matrices.numpy(), sides.numpy()))
