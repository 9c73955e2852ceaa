"""Files of simulated networks: equal to memory, whole or absent, never those of other settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pytest

from utils.simulation import (
    held_out,
    read_network,
    simulate_network,
    simulate_network_file,
)
from utils.simulation.network import config as config_module
from utils.simulation.network import store

SMALL = {"n_neurons": 8, "n_frames": 1500, "warm_up": 10}
EVERYTHING = {
    "family": "N7",
    "input": {"type": "impulses", "interval": 60, "duration": 30},
    "calcium": {"saturation": 2.0},
    "process_noise": 0.1,
    "measurement_noise": 0.1,
    "dale": 0.5,
}


@pytest.mark.parametrize("settings", [{}, EVERYTHING, {"family": "N11", "n_types": 2}])
def test_file_equals_memory(tmp_path, settings):
    memory = simulate_network(**SMALL, **settings)
    stored = read_network(simulate_network_file(tmp_path, **SMALL, **settings))
    for name in ("activity", "derivative", "observed", "connectivity", "types"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(memory, name), err_msg=name)
    for name in ("inputs", "efficacy"):
        mine, kept = getattr(memory, name), getattr(stored, name)
        assert (mine is None) == (kept is None)
        assert mine is None or (mine == kept).all()
    assert stored.parameters.keys() == memory.parameters.keys()
    for name, value in memory.parameters.items():
        np.testing.assert_array_equal(stored.parameters[name], value)
    assert (stored.config, stored.hash) == (memory.config, memory.hash)
    np.testing.assert_array_equal(
        held_out(stored, 20, seed=1).activity, held_out(memory, 20, seed=1).activity
    )


def test_arrays_over_time_are_mapped_and_read_only(tmp_path):
    network = read_network(simulate_network_file(tmp_path, **SMALL))
    assert isinstance(network.activity, np.memmap)
    assert network.observed is network.activity
    with pytest.raises(ValueError, match="read-only"):
        network.activity[0] = 0


def test_name_has_the_hash_and_same_settings_use_the_file_again(tmp_path, monkeypatch):
    path = simulate_network_file(tmp_path, **SMALL)
    assert path.parent == tmp_path
    assert read_network(path).hash in path.name
    monkeypatch.setattr(store, "_write", None)
    assert simulate_network_file(tmp_path, **SMALL) == path


@pytest.mark.parametrize("settings", [{"seed": 1}, {"process_noise": 0.1}, {"sparsity": 0.5}])
def test_other_settings_make_another_file(tmp_path, settings):
    paths = [simulate_network_file(tmp_path, **SMALL, **more) for more in ({}, settings)]
    assert paths[0] != paths[1]
    first, other = (read_network(path).activity for path in paths)
    assert (first != other).any()


def test_memory_is_bounded(tmp_path):
    """5 MB for each of two arrays; a block of 1000 frames has 0.4 MB."""
    tracemalloc.start()
    simulate_network_file(tmp_path, n_neurons=100, n_frames=12_500, warm_up=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6


def test_failed_run_leaves_nothing(tmp_path):
    with pytest.raises(FloatingPointError):
        simulate_network_file(tmp_path, **SMALL, phi="relu", gain=3000.0)
    assert not list(tmp_path.iterdir())


KILLED = """
import os, signal, sys
from utils.simulation.network import store

def killed(*args, run=store.run):
    yield next(run(*args))
    os.kill(os.getpid(), signal.SIGKILL)

store.run = killed
store.simulate_network_file(sys.argv[1], n_neurons=8, n_frames=1500, warm_up=10)
"""


def test_killed_writing_leaves_no_half_file(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert not list(tmp_path.glob("network*"))
    path = simulate_network_file(tmp_path, **SMALL)
    assert list(tmp_path.iterdir()) == [path]  # what was left is gone, too


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_truncated_file_is_refused(tmp_path, keep):
    path = simulate_network_file(tmp_path, **SMALL)
    os.truncate(path, int(path.stat().st_size * keep))
    for use in (lambda: read_network(path), lambda: simulate_network_file(tmp_path, **SMALL)):
        with pytest.raises(ValueError, match=f"{path.name} is no HDF5 file, or truncated.*delete"):
            use()


def test_foreign_files_are_refused(tmp_path):
    text, other = tmp_path / "text.h5", tmp_path / "other.h5"
    text.write_text("activity")
    with h5py.File(other, "w") as file:
        file["activity"] = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"text.h5 is no HDF5 file"):
        read_network(text)
    with pytest.raises(ValueError, match=r"HDF5 of another kind.*found activity"):
        read_network(other)
    with pytest.raises(FileNotFoundError, match=r"absent.h5; simulate_network_file"):
        read_network(tmp_path / "absent.h5")


def test_file_of_another_version_is_not_used(tmp_path, monkeypatch):
    path = simulate_network_file(tmp_path, **SMALL)
    monkeypatch.setattr(config_module, "VERSION", config_module.VERSION + 1)
    with pytest.raises(ValueError, match="another version of the simulator"):
        read_network(path)
    assert simulate_network_file(tmp_path, **SMALL) != path
