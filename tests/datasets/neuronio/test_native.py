"""Native files: read as the official loader does, refused by field where they are not in order."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from utils.datasets import read_neuronio, write_neuronio_like
from utils.datasets.neuronio.native import read_native_file
from utils.simulation import simulate_dendritic_neuron

FILE = "sim__tiny_1sim_1s.p"


def test_a_file_is_read_as_by_the_official_loader(reference):
    data = read_neuronio(reference / "elm" / FILE)
    expected = np.load(reference / "elm" / "neuronio_tiny_expected.npz")
    assert data.inputs.shape == (1, 1000, 1278)
    assert data.inputs.dtype == np.int8
    np.testing.assert_array_equal(np.argwhere(data.inputs[0].T), expected["X_nonzero"])
    np.testing.assert_array_equal(np.unique(data.inputs[..., :639]), [0, 1])
    np.testing.assert_array_equal(np.unique(data.inputs[..., 639:]), [-1, 0])
    np.testing.assert_array_equal(data.spikes, expected["y_spike"].T)
    np.testing.assert_array_equal(data.soma_mv, expected["y_soma"].T)


def test_segments_are_kept_beside_the_simulations(reference):
    file = read_native_file(reference / "elm" / FILE)
    assert repr(file) == f"<1 NeuronIO simulations of 1000 ms from {FILE}>"
    assert file.segment_types.count("basal") == 262
    assert file.segment_distances.shape == (639,)
    assert file.segment_distances[0] == pytest.approx(23.685143)


def test_what_was_simulated_is_read_back(native):
    recording = simulate_dendritic_neuron(4, 2000, seed=0)
    file = read_native_file(native / "sim__a.p", recover_spike_times=True)
    np.testing.assert_array_equal(file.idx, recording.input)
    ms = np.arange(4 * 2000).repeat(file.counts.ravel())
    np.testing.assert_array_equal(ms, recording.run * 2000 + recording.ms)
    np.testing.assert_array_equal(file.soma_mv, recording.soma_mv[:, ::8].astype(np.float16))
    for spikes, times in zip(file.spikes, recording.spike_times):
        np.testing.assert_array_equal(np.flatnonzero(spikes), np.trunc(times - 0.5))


def test_files_and_folders_are_read_one_after_the_other(native):
    several = read_neuronio([native / "sim__a.p", native / "more"])
    folder = read_neuronio(str(native))
    assert several.inputs.shape == folder.inputs.shape == (6, 2000, 1278)
    np.testing.assert_array_equal(several.soma_mv[4:], folder.soma_mv[:2])  # more/ comes first
    assert folder.spikes.dtype == np.int8


def test_times_become_ms_as_in_the_official_loader(contents, save):
    data = read_neuronio(save(contents))
    found = [(t, i, data.inputs[0, t, i]) for t, i in np.argwhere(data.inputs[0]).tolist()]
    assert found == [(0, 0, 1), (3, 638, 1), (7, 644, -1), (19, 0, 1)]
    assert np.flatnonzero(data.spikes).tolist() == [0, 1, 12]
    assert data.soma_mv[0, -1] == -40  # not cut off


def test_spike_times_are_recovered_from_the_voltage_where_asked_for(contents, save):
    path = save(contents)
    recovered = read_neuronio(path, recover_spike_times=True)
    assert np.flatnonzero(recovered.spikes).tolist() == [3, 12]  # 3.75 and 12.5 ms, not -26 mV
    del contents["Results"]["listOfSingleSimulationDicts"][0]["somaVoltageHighRes"]
    with pytest.raises(ValueError, match="no field simulation 0: somaVoltageHighRes"):
        read_neuronio(save(contents), recover_spike_times=True)


def test_a_voltage_that_is_not_float16_keeps_its_precision(contents, save):
    run = contents["Results"]["listOfSingleSimulationDicts"][0]
    run["somaVoltageLowRes"] = [-70.123] * 20
    assert (read_neuronio(save(contents)).soma_mv == np.float32(-70.123)).all()


def test_distances_may_be_missing(contents, save):
    del contents["Params"]["allSegments_DistFromSoma"]
    assert np.isnan(read_native_file(save(contents)).segment_distances).all()


RUN, PARAMS = "run", "Params"
BROKEN = {
    "no parameters": (None, "Params", None, "no field Params"),
    "no results": (None, "Results", None, "no field Results"),
    "results of another kind": (None, "Results", [], "Results holds a list, expected a dict"),
    "no runs": (
        None,
        "Results",
        {"listOfSingleSimulationDicts": []},
        "Results listOfSingleSimulationDicts is empty",
    ),
    "no duration": (PARAMS, "totalSimDurationInSec", None, "no field Params totalSimDuration"),
    "duration": (PARAMS, "totalSimDurationInSec", "6", "totalSimDurationInSec is '6'"),
    "negative duration": (PARAMS, "totalSimDurationInSec", -6, "totalSimDurationInSec is -6"),
    "segments": (PARAMS, "allSegmentsType", ["basal"] * 10, "has 10 entries, expected 639"),
    "distances": (PARAMS, "allSegments_DistFromSoma", [1.0], "has 1 entries, expected 639"),
    "no voltage": (RUN, "somaVoltageLowRes", None, "no field simulation 0: somaVoltageLowRes"),
    "voltage length": (
        RUN,
        "somaVoltageLowRes",
        np.zeros(19, np.float16),
        r"simulation 0: somaVoltageLowRes has 19 values, expected 20 \(one per ms\)",
    ),
    "voltage nan": (RUN, "somaVoltageLowRes", [0.0] * 19 + [np.nan], "holds nan at place 19"),
    "voltage text": (RUN, "somaVoltageLowRes", ["a"] * 20, "is no list of numbers"),
    "voltage ragged": (RUN, "somaVoltageLowRes", [[0], [0, 1]], "is no list of numbers"),
    "voltage number": (RUN, "somaVoltageLowRes", 1.0, "is a float, expected a list"),
    "no output": (RUN, "outputSpikeTimes", None, "no field simulation 0: outputSpikeTimes"),
    "late output": (RUN, "outputSpikeTimes", [20.6], "has a spike at 20.6 ms, .* lasts 20 ms"),
    "early output": (RUN, "outputSpikeTimes", [-0.6], "outputSpikeTimes has a spike at -0.6 ms"),
    "late input": (RUN, "exInputSpikeTimes", {0: [20]}, "exInputSpikeTimes has a spike at 20 ms"),
    "early input": (RUN, "inhInputSpikeTimes", {0: [-1]}, "inhInputSpikeTimes has a spike at -1"),
    "input nan": (RUN, "inhInputSpikeTimes", {0: [np.nan]}, "has a spike at nan ms"),
    "segment": (RUN, "exInputSpikeTimes", {639: [1]}, "has segment 639, expected 0 to 638"),
    "negative segment": (RUN, "inhInputSpikeTimes", {-1: [1]}, "has segment -1"),
    "segment name": (RUN, "inhInputSpikeTimes", {"soma": [1]}, "is not {segment: "),
    "input list": (RUN, "exInputSpikeTimes", [1, 2], "exInputSpikeTimes holds a list"),
    "input number": (RUN, "exInputSpikeTimes", {0: 3}, "exInputSpikeTimes is not {segment: "),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_files_that_are_not_in_order_are_named_with_the_field(contents, save, fault):
    place, field, value, message = BROKEN[fault]
    runs = contents["Results"]["listOfSingleSimulationDicts"]
    holder = {None: contents, PARAMS: contents["Params"], RUN: runs[0]}[place]
    if value is None:
        del holder[field]
    else:
        holder[field] = value
    with pytest.raises(ValueError, match=message) as error:
        read_neuronio(save(contents))
    assert "sim__1.p is not in the format of NeuronIO" in str(error.value)


def test_a_run_of_another_kind_is_named(contents, save):
    contents["Results"]["listOfSingleSimulationDicts"].append(None)
    with pytest.raises(ValueError, match="simulation 1: holds a NoneType, expected a dictionary"):
        read_neuronio(save(contents))
    with pytest.raises(ValueError, match="the file holds a list, expected a dictionary"):
        read_neuronio(save([1, 2]))


class Attack:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch attacked",)


def test_code_within_a_file_is_refused_by_name_and_not_run(contents, save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    contents["Results"]["listOfSingleSimulationDicts"][0]["extra"] = Attack()
    with pytest.raises(ValueError, match=r"sim__1\.p cannot be read: it asks for '\w+\.system'"):
        read_neuronio(save(contents))
    assert not (tmp_path / "attacked").exists()


def test_truncated_empty_and_other_files_are_refused(contents, tmp_path):
    path = tmp_path / "sim__1.p"
    stream = pickle.dumps(contents, protocol=2)
    for part in (stream[:-1], stream[: len(stream) // 2], stream[:5], b"", b"<html>"):
        path.write_bytes(part)
        with pytest.raises(ValueError, match=r"sim__1\.p cannot be read: "):
            read_neuronio(path)


def test_missing_files_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "sim__1.p", []):
        with pytest.raises(FileNotFoundError, match="no NeuronIO file"):
            read_neuronio(path)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "._sim__1.p").touch()  # which macOS leaves beside files on other disks
    with pytest.raises(FileNotFoundError, match=r"no NeuronIO file \(\*\.p or sim__\*\) at "):
        read_neuronio(tmp_path)


def test_files_of_different_durations_do_not_mix(native, contents, save):
    with pytest.raises(ValueError, match=r"sim__a.p last 2000 ms, those of sim__1.p 20 ms"):
        read_neuronio([native / "sim__a.p", save(contents)])


def test_generated_files_have_the_nesting_and_types_of_native_ones(reference, tmp_path):
    path = write_neuronio_like(tmp_path / "sim__1.p", n_simulations=1, seconds=1)
    generated, official = (
        pickle.loads(file.read_bytes(), encoding="latin1")
        for file in (path, reference / "elm" / FILE)
    )
    assert generated["Params"].pop("simulated") is True
    assert generated["Params"].keys() <= official["Params"].keys()
    for name, value in generated["Params"].items():
        assert type(value) is type(official["Params"][name]), name
    ours, theirs = (
        data["Results"]["listOfSingleSimulationDicts"][0] for data in (generated, official)
    )
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        if isinstance(value, dict):
            assert {type(k) for k in ours[name]} == {type(k) for k in value} == {np.int64}
            assert {type(t) for times in ours[name].values() for t in times} == {np.int64}
        else:
            assert (ours[name].dtype, ours[name].ndim) == (value.dtype, value.ndim)
            assert name == "outputSpikeTimes" or ours[name].shape == value.shape
    assert path.read_bytes()[:2] == b"\x80\x02"
