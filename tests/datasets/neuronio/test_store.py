"""Converted files: the same simulations in a twentieth of the size, whole or not there at all."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from utils.datasets import convert_neuronio, open_neuronio, read_neuronio
from utils.datasets.neuronio import NeuronIOSimulations, simulated_neuronio, store
from utils.datasets.neuronio.__main__ import main
from utils.datasets.neuronio.native import read_native_file
from utils.paths import PROJECT


def test_conversion_keeps_everything_in_a_twentieth_of_the_size(native, converted):
    opened = open_neuronio(converted)
    assert (opened.n_simulations, opened.duration, len(opened.files)) == (6, 2000, 2)
    data = read_neuronio(native)
    np.testing.assert_array_equal(np.concatenate([f.dense() for f in opened.files]), data.inputs)
    np.testing.assert_array_equal(np.concatenate([f.spikes for f in opened.files]), data.spikes)
    np.testing.assert_array_equal(np.concatenate([f.soma_mv for f in opened.files]), data.soma_mv)
    for path in opened.paths:
        source = native / path.relative_to(converted).with_suffix("")
        assert 20 * path.stat().st_size < source.stat().st_size
    assert opened.files[1].segment_types == ("basal",) * 262 + ("apical",) * 377


def test_even_the_smallest_file_becomes_twenty_times_smaller(reference, tmp_path):
    source = reference / "elm" / "sim__tiny_1sim_1s.p"
    (path,) = convert_neuronio(source, tmp_path, progress=False)
    assert path == tmp_path / "sim__tiny_1sim_1s.p.neuronio"
    assert 20 * path.stat().st_size < source.stat().st_size
    mapped = open_neuronio(path)
    np.testing.assert_array_equal(mapped.files[0].dense(), read_neuronio(source).inputs)


def test_files_are_mapped_and_not_read(converted):
    for file in open_neuronio(converted).files:
        assert not file.idx.flags.owndata
        assert not file.soma_mv.flags.owndata


def test_windows_are_slices_of_simulations_of_any_file(native, converted):
    data = read_neuronio(native)
    simulations, starts = np.array([5, 0, 3, 5]), np.array([0, 1999, 700, 1000])
    for window in (1, 300):
        starts = np.minimum(starts, 2000 - window)
        batch = open_neuronio(converted).windows(simulations, starts, window)
        spans = [(s, slice(t, t + window)) for s, t in zip(simulations, starts)]
        np.testing.assert_array_equal(batch.dense(), [data.inputs[span] for span in spans])
        np.testing.assert_array_equal(batch.spikes, [data.spikes[span] for span in spans])
        capped = np.minimum([data.soma_mv[span] for span in spans], -55)
        np.testing.assert_allclose(batch.soma, (capped + 67.7) * 0.1, atol=1e-6)
        assert batch.soma.max() <= (-55 + 67.7) * 0.1 + 1e-6


def test_windows_are_those_of_the_official_loader(reference, tmp_path):
    convert_neuronio(reference / "elm" / "sim__tiny_1sim_1s.p", tmp_path, progress=False)
    expected = np.load(reference / "elm" / "neuronio_tiny_expected.npz")
    whole = open_neuronio(tmp_path).windows(np.array([0]), np.array([0]), 1000)
    np.testing.assert_allclose(whole.soma, expected["pre_soma"][..., 0], rtol=0, atol=1e-6)
    start = next(
        t for t in range(800) if np.allclose(whole.soma[0, t : t + 200], expected["batch_soma"][0])
    )
    batch = open_neuronio(tmp_path).windows(np.array([0]), np.array([start]), 200)
    at = np.argwhere(batch.dense()[0].numpy())
    np.testing.assert_array_equal(at, expected["batch_X_nonzero"])
    np.testing.assert_array_equal(batch.val, expected["batch_X_vals"])
    np.testing.assert_array_equal(batch.spikes, expected["batch_spike"])


def test_another_process_maps_the_files_itself(converted):
    opened = open_neuronio(converted)
    stream = pickle.dumps(opened)
    assert len(stream) < 2000
    assert len(pickle.loads(stream)) == 6


def test_an_interrupted_conversion_goes_on_where_it_stopped(native, tmp_path, monkeypatch):
    first, second = (native / "more" / "sim__b.p", native / "sim__a.p")
    read = []

    def reading(path, recover_spike_times):
        read.append(path)
        if len(read) == 2:
            raise KeyboardInterrupt
        return read_native_file(path, recover_spike_times)

    monkeypatch.setattr(store, "read_native_file", reading)
    with pytest.raises(KeyboardInterrupt):
        convert_neuronio(native, tmp_path, progress=False)
    assert len(open_neuronio(tmp_path)) == 2
    convert_neuronio(native, tmp_path, progress=False)
    assert read == [first, second, second]
    assert len(open_neuronio(tmp_path)) == 6


def test_a_process_that_is_killed_leaves_no_half_file(native, tmp_path):
    code = (
        "import os, sys\n"
        "from utils.datasets.neuronio import store\n"
        "save = store.save\n"
        "def half(*arguments, **named):\n"
        "    whole = save(*arguments, **named)\n"
        "    store.open_converted = lambda path: os._exit(9)\n"
        "    return whole[: len(whole) // 2]\n"
        "store.save = half\n"
        "store.convert_neuronio(sys.argv[1], sys.argv[2], progress=False)\n"
    )
    source = native / "more" / "sim__b.p"
    run = subprocess.run([sys.executable, "-c", code, source, tmp_path], cwd=PROJECT)
    assert run.returncode == 9
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(FileNotFoundError, match="made with convert_neuronio"):
        open_neuronio(tmp_path)
    (path,) = convert_neuronio(source, tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == [path]  # what the killed one left is gone


def test_a_file_is_converted_again_when_the_source_or_the_way_is_another(contents, save, tmp_path):
    source, folder = save(contents), tmp_path / "converted"
    (path,) = convert_neuronio(source, folder, progress=False)
    assert open_neuronio(path).files[0].spikes.sum() == 3
    convert_neuronio(source, folder, recover_spike_times=True, progress=False)
    assert open_neuronio(path).files[0].spikes.sum() == 2
    contents["Results"]["listOfSingleSimulationDicts"] *= 2
    convert_neuronio(save(contents), folder, progress=False)
    assert len(open_neuronio(path)) == 2
    path.write_bytes(path.read_bytes()[:-10])
    convert_neuronio(source, folder, progress=False)
    assert len(open_neuronio(path)) == 2


def test_what_cannot_be_read_back_is_not_kept(contents, save, tmp_path, monkeypatch):
    written = store.open_converted

    def damaged(path):
        file = written(path)
        file.idx[0] += 1
        return file

    monkeypatch.setattr(store, "open_converted", damaged)
    with pytest.raises(OSError, match="idx differs from what was written"):
        convert_neuronio(save(contents), tmp_path / "converted", progress=False)
    assert not list((tmp_path / "converted").iterdir())


def test_two_sources_of_one_name_are_refused(native, tmp_path):
    again = tmp_path / "sim__a.p"
    again.touch()
    with pytest.raises(ValueError, match=r"two sources are named sim__a\.p"):
        convert_neuronio([native / "sim__a.p", again], tmp_path / "converted")


@pytest.fixture
def copy(converted, tmp_path):
    path = tmp_path / "sim__a.p.neuronio"
    path.write_bytes((converted / "sim__a.p.neuronio").read_bytes())
    return path


def test_truncated_and_foreign_files_are_refused(copy):
    whole = copy.read_bytes()
    for part in (whole[:-1], whole[:2000], whole[:4], b"", b"<html>" * 10):
        copy.write_bytes(part)
        with pytest.raises(ValueError, match=r"sim__a\.p\.neuronio is truncated or no converted"):
            open_neuronio(copy)
    save_file({"weights": np.zeros(3)}, copy)
    with pytest.raises(ValueError, match="is not a converted NeuronIO file: format None"):
        open_neuronio(copy)
    save_file({"weights": np.zeros(3)}, copy, {"format": store.FORMAT})
    with pytest.raises(ValueError, match="truncated or no converted"):
        open_neuronio(copy)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("idx", lambda a: a[:-1]),
        ("idx", lambda a: a.astype(np.float32)),
        ("counts", lambda a: a[:-1]),
        ("first", lambda a: a[::-1].copy()),
        ("soma_mv", lambda a: a[:, :-1].copy()),
        ("spikes", lambda a: a.ravel()),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(copy, name, change):
    arrays = load_file(copy)
    about = {"format": store.FORMAT, "source": "a", "segment_types": "basal"}
    save_file(arrays | {name: change(arrays[name])}, copy, about)
    with pytest.raises(ValueError, match="arrays do not belong together"):
        open_neuronio(copy)


def test_counts_beyond_the_events_are_found_when_they_are_used(copy):
    arrays = load_file(copy)
    arrays["counts"][0, 5] += 1
    save_file(arrays, copy, {"format": store.FORMAT, "source": "a.p", "segment_types": "basal"})
    file = open_neuronio(copy).files[0]
    file.events(0, 0, 1000)
    with pytest.raises(ValueError, match=r"a\.p: simulation 0 counts more than its \d+ events"):
        file.events(0, 0, 2000)


def test_simulations_without_any_spike_are_converted(contents, save, tmp_path):
    run = contents["Results"]["listOfSingleSimulationDicts"][0]
    run |= {"exInputSpikeTimes": {}, "inhInputSpikeTimes": {}, "outputSpikeTimes": []}
    (path,) = convert_neuronio(save(contents), tmp_path, progress=False)
    batch = open_neuronio(path).windows(np.array([0]), np.array([0]), 20)
    assert len(batch.idx) == 0
    assert batch.dense().shape == (1, 20, 1278)
    assert isinstance(open_neuronio(path).files[0], NeuronIOSimulations)


def test_the_command_line_simulates_and_converts(tmp_path, capsys):
    source, folder = tmp_path / "sim__1.p", tmp_path / "converted"
    assert main(["simulate", str(source), "--simulations", "2", "--seconds", "1"]) == 0
    assert main(["convert", str(source), str(folder)]) == 0
    out = capsys.readouterr().out
    assert "sim__1.p" in out
    assert "2 NeuronIO simulations of 1000 ms in 1 files" in out
    source.write_bytes(b"hello")
    assert main(["convert", str(source), str(folder)]) == 2
    assert "error: " in capsys.readouterr().err


def test_simulations_for_a_notebook_are_made_once():
    path = simulated_neuronio(2, seconds=1, seed=5)
    made = path.stat().st_mtime_ns
    assert len(open_neuronio(path)) == 2
    assert simulated_neuronio(2, seconds=1, seed=5) == path
    assert path.stat().st_mtime_ns == made
    path.unlink()
