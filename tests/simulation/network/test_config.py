"""The configuration of networks: every setting has its place in the hash, wrong ones are named."""

from __future__ import annotations

import pytest

from utils.config import ConfigError
from utils.simulation import NetworkConfig, simulate_network
from utils.simulation.network import config as config_module
from utils.simulation.network.config import network_config
from utils.simulation.network.families import FAMILIES

OTHER = {  # another value of every setting
    "n_neurons": 999,
    "n_frames": 99_999,
    "warm_up": 0,
    "dt": 0.02,
    "seed": 1,
    "start_seed": 0,
    "family": "N3",
    "n_types": 3,
    "gain": 9.0,
    "parameters": {"s": (1, 1, 1, 1)},
    "phi": "relu",
    "transfers": [{}],
    "connectivity": "gaussian",
    "rank": 2,
    "positive_blocks": 0.4,
    "dale": 0.5,
    "sparsity": 0.5,
    "input": {"type": "movie"},
    "process_noise": 0.1,
    "calcium": {},
    "measurement_noise": 0.1,
}


def test_every_setting_changes_the_hash():
    assert OTHER.keys() == NetworkConfig.model_fields.keys()
    configs = [NetworkConfig()]
    for name, value in OTHER.items():
        needs = {"family": "N11", "n_types": 1} if name == "transfers" else {}
        configs.append(NetworkConfig(**needs, **{name: value}))
    configs.append(NetworkConfig(family="N11", n_types=1))
    configs.append(NetworkConfig(input={"type": "movie", "amplitude": 2.0}))
    configs.append(NetworkConfig(calcium={"tau": 0.6}))
    assert len({config.hash for config in configs}) == len(configs)


def test_hash_is_that_of_the_values():
    assert NetworkConfig().hash == NetworkConfig(seed=0, sparsity=1, n_types=4).hash


def test_hash_changes_with_the_simulator(monkeypatch):
    before = NetworkConfig().hash
    monkeypatch.setattr(config_module, "VERSION", config_module.VERSION + 1)
    assert NetworkConfig().hash != before


def test_families_are_those_of_the_configuration():
    assert NetworkConfig.model_fields["family"].annotation.__args__ == tuple(FAMILIES)


def test_baseline():
    config = NetworkConfig()
    assert config.n_neurons == 1000
    assert config.n_frames == 100_000
    assert config.warm_up == 1000
    assert config.dt == 0.01
    assert (config.family, config.connectivity) == ("N2", "lorentz")
    assert (config.n_types, config.gain) == (4, 10)


def test_settings_go_before_a_configuration():
    base = NetworkConfig(n_neurons=5, family="N4")
    assert network_config(base, n_neurons=6) == NetworkConfig(n_neurons=6, family="N4")
    assert network_config({"n_neurons": 5}, seed=2) == NetworkConfig(n_neurons=5, seed=2)
    assert network_config() == NetworkConfig()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"famly": "N2"}, "unknown key 'famly'; did you mean family"),
        ({"family": "N9"}, "'family' = 'N9'.*'N2', 'N3', 'N4', 'N5', 'N6', 'N7' or 'N11'"),
        ({"connectivity": "cauchy"}, "'connectivity' = 'cauchy'.*'lorentz'"),
        ({"n_frames": 0}, "'n_frames' = 0: .*greater than 0"),
        ({"n_neurons": 0}, "'n_neurons' = 0: .*greater than 0"),
        ({"n_neurons": "many"}, "'n_neurons' = 'many'"),
        ({"sparsity": 0}, "'sparsity' = 0: .*greater than 0"),
        ({"sparsity": 5}, "'sparsity' = 5: .*less than or equal to 1"),
        ({"dale": 1.5}, "'dale' = 1.5"),
        ({"process_noise": -0.1}, "'process_noise' = -0.1"),
        ({"dt": float("nan")}, "'dt' = nan"),
        ({"gain": float("inf")}, "'gain' = inf"),
        ({"parameters": {"s": (1, 1, 1, float("nan"))}}, "'parameters.s.3' = nan"),
        ({"input": {"type": "sound"}}, "unknown 'type' 'sound'.*'oscillation', 'impulses'"),
        ({"input": {"type": "movie", "waves": 2}}, "unknown key 'input.waves'.*n_waves"),
        ({"calcium": {"activation": "gelu"}}, "'calcium.activation' = 'gelu'.*'softplus'"),
        ({"calcium": {"tau": 0.001}}, "calcium.tau: 0.001 is shorter than dt"),
        ({"parameters": {"tau": (1, 1, 1, 1)}}, "N2 has no 'tau', but g, s, c"),
        ({"parameters": {"g": (1, 2)}}, "'g' has 2 values for 4 types"),
        ({"family": "N4", "parameters": {"w": (1, 1, 1, 0)}}, "'w' must be positive"),
        ({"transfers": [{}] * 4}, "transfers: only N11"),
        ({"family": "N11", "transfers": [{}]}, "one for each of its n_types"),
        ({"connectivity": "blocks", "dale": 0.5}, "dale: blocks have the signs"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=f"simulated network: .*{message}"):
        simulate_network(**settings)
