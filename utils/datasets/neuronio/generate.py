"""Files in NeuronIO's native format, of a simulated stand-in neuron."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.datasets.neuronio.simulations import SEGMENTS
from utils.datasets.neuronio.store import SUFFIX, convert_neuronio
from utils.paths import atomic_file, data_dir
from utils.simulation.dendritic_neuron import (
    BASAL,
    SEGMENTS_PER_BRANCH,
    STEPS_PER_MS,
    DendriticRecording,
    simulate_dendritic_neuron,
)

SEGMENT_LENGTH = 20.0  # um


def write_neuronio_like(
    path: str | Path, *, n_simulations: int = 64, seconds: int = 6, seed: int = 0
) -> Path:
    """Write a pickle with the fields, nesting and types of a NeuronIO file.

    The neuron is :func:`utils.simulation.simulate_dendritic_neuron`, not the model of Hay et al.
    of the published files, and the same for every seed: files of different seeds may serve to
    train and to test. ``Params`` says ``simulated``. A simulation of 6 s makes 3 MB.
    """
    path = Path(path)
    recording = simulate_dendritic_neuron(n_simulations, 1000 * seconds, seed)
    contents = {
        "Params": _params(recording, seconds, seed),
        "Results": {"listOfSingleSimulationDicts": list(_simulations(recording))},
    }
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        pickle.dump(contents, file, protocol=2)
    return path


def simulated_neuronio(n_simulations: int, seconds: int = 6, seed: int = 0) -> Path:
    """The converted file of such simulations in ``DATA/neuronio``; made the first time."""
    name = f"simulated_{n_simulations}x{seconds}s_seed{seed}"
    folder = data_dir() / "neuronio"
    converted = folder / f"{name}.p{SUFFIX}"
    if not converted.is_file():
        with tempfile.TemporaryDirectory() as temporary:
            native = Path(temporary) / f"{name}.p"
            write_neuronio_like(native, n_simulations=n_simulations, seconds=seconds, seed=seed)
            convert_neuronio(native, folder, progress=False)
    return converted


def _params(recording: DendriticRecording, seconds: int, seed: int) -> dict[str, Any]:
    tree = ["basal"] * BASAL + ["apical"] * (SEGMENTS - BASAL)
    branch, place = np.divmod(np.arange(SEGMENTS), SEGMENTS_PER_BRANCH)
    n_spikes = [len(times) for times in recording.spike_times]
    intervals = np.concatenate([np.diff(times) for times in recording.spike_times])
    n_seconds = seconds * len(n_spikes)
    return {
        "simulated": True,
        "randomSeed": seed,
        "numSimulations": len(n_spikes),
        "totalSimDurationInSec": seconds,
        "numSamplesPerMS_HighRes": STEPS_PER_MS,
        "collectAndSaveDVTs": False,
        "allSectionsType": tree[::SEGMENTS_PER_BRANCH],
        "allSegmentsType": tree,
        "allSegmentsLength": [SEGMENT_LENGTH] * SEGMENTS,
        "allSegments_DistFromSoma": ((place + 0.5) * SEGMENT_LENGTH).tolist(),
        "allSegments_SectionInd": branch.tolist(),
        "listOfISIs": intervals.tolist(),
        "numOutputSpikesPerSim": n_spikes,
        "totalNumOutputSpikes": sum(n_spikes),
        "totalNumSimulationSeconds": n_seconds,
        "averageOutputFrequency": sum(n_spikes) / n_seconds,
    }


def _simulations(recording: DendriticRecording) -> Iterator[dict[str, Any]]:
    n_steps = recording.soma_mv.shape[1]
    time = np.arange(n_steps, dtype=np.float32) / STEPS_PER_MS
    ends = np.searchsorted(recording.run, np.arange(len(recording.soma_mv)), side="right")
    pieces = [np.split(events, ends) for events in (recording.ms, recording.input)]
    for run, (soma, nexus) in enumerate(zip(recording.soma_mv, recording.apical_mv)):
        ms, source = pieces[0][run], pieces[1][run]
        excitatory = source < SEGMENTS
        yield {
            "recordingTimeHighRes": time,
            "somaVoltageHighRes": soma.astype(np.float16),
            "nexusVoltageHighRes": nexus.astype(np.float16),
            "recordingTimeLowRes": time[::STEPS_PER_MS].copy(),
            "somaVoltageLowRes": soma[::STEPS_PER_MS].astype(np.float16),
            "nexusVoltageLowRes": nexus[::STEPS_PER_MS].astype(np.float16),
            "exInputSpikeTimes": _by_segment(source[excitatory], ms[excitatory]),
            "inhInputSpikeTimes": _by_segment(source[~excitatory] - SEGMENTS, ms[~excitatory]),
            "outputSpikeTimes": recording.spike_times[run].astype(np.float16),
        }


def _by_segment(
    segments: NDArray[np.int64], ms: NDArray[np.int64]
) -> dict[np.int64, list[np.int64]]:
    """Lists of numpy integers, as in the published files; segments without a spike are left out."""
    by_segment = ms[np.argsort(segments, kind="stable")]
    counts = np.bincount(segments, minlength=SEGMENTS)
    lists = np.split(by_segment, counts.cumsum()[:-1])
    return {k: list(times) for k, times in zip(np.arange(SEGMENTS), lists) if len(times)}
