"""W, psi and phi in comparable units."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.gnn.test_messages import random_model
from utils.models.gnn.normalise import NormalisedModel

ACTIVITY = np.random.default_rng(0).normal(0, 3, (400, 9)).astype(np.float32)


@pytest.mark.parametrize("sees", ["sender", "sender_embedding"])
def test_the_same_derivatives_in_other_units(sees):
    model = random_model(psi_sees=sees).float()
    found = NormalisedModel(model, ACTIVITY)
    u = ACTIVITY[7]
    sent = np.array([found.psi(u[j], j) for j in range(9)])
    own = np.array([found.phi(u[i], i) for i in range(9)])

    rates = own + found.connectivity @ sent

    np.testing.assert_allclose(rates, model(torch.from_numpy(u)).detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sees", ["sender", "sender_embedding"])
def test_psi_has_unit_deviation_is_0_at_0_and_rises(sees):
    found = NormalisedModel(random_model(psi_sees=sees).float(), ACTIVITY)
    for sender in range(9):
        sent = found.psi(ACTIVITY, sender)
        assert sent.shape == ACTIVITY.shape
        assert sent.std() == pytest.approx(1, rel=0.02)
        assert np.cov(sent.ravel(), ACTIVITY.ravel())[0, 1] > 0
        assert found.psi(0.0, sender) == pytest.approx(0, abs=1e-6)


def test_both_ends_have_finite_weights():
    found = NormalisedModel(random_model(psi_sees="both_ends").float(), ACTIVITY)
    assert np.isfinite(found.connectivity).all()
    assert found.psi(ACTIVITY[:, 2], 2).std() > 0


def test_a_constant_psi_keeps_its_weights_finite():
    model = random_model().float()
    for values in model.psi.parameters():
        values.data.zero_()
    found = NormalisedModel(model, ACTIVITY)
    assert np.isfinite(found.connectivity).all()
    assert not found.psi(ACTIVITY).any()
