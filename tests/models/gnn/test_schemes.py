"""The table of schemes."""

from __future__ import annotations

from tests.models.gnn.worlds import small_world
from utils.models.gnn.config import GradientConfig
from utils.models.gnn.schemes import compare_schemes


def test_every_scheme_has_a_row():
    network = small_world(n_neurons=12)
    table = compare_schemes(
        network.activity,
        network.derivative,
        network.connectivity,
        dt=network.dt,
        config=GradientConfig(model={"hidden": 16}),
        evaluations=160,
        recurrent_steps=(1, 8),
        ode_methods=("euler", "dopri5"),
        ode_steps=4,
    )
    assert table["scheme"].tolist() == ["derivative", "recurrent", "recurrent", "euler", "dopri5"]
    assert table["steps"].tolist() == [0, 1, 8, 4, 4]
    assert table["updates"].tolist()[:3] == [160, 160, 20]
    assert table["connectivity_r2"].min() > 0.3
    assert (table["last_loss"] < 0.5).all()
    assert (table["seconds"] > 0).all()
