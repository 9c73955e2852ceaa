"""Reading NeuronIO's native files: pickles of Python 2 with nested dictionaries.

Beniaguev, Segev & London, "Single cortical neurons as deep artificial neural networks", Neuron 109
(2021): a detailed model of a layer 5 pyramidal cell under random synaptic input. The data are at
https://www.kaggle.com/selfishgene (115 GB): convert them once, see
:func:`utils.datasets.neuronio.convert_neuronio`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from utils.datasets.neuronio.simulations import INPUTS, SEGMENTS, NeuronIOSimulations
from utils.sessions.unpickler import UnpickleError, load_plain_pickle

SPIKE_MV = -25.0  # an output spike is a local maximum of the voltage above this
NATIVE_SUFFIXES = (".p", ".pkl", ".pickle")

Paths = str | Path | Sequence[str | Path]


class NeuronIOData(NamedTuple):
    """Inputs and outputs of a neuron in steps of 1 ms."""

    inputs: NDArray[np.int8]  # (simulation, time, 1278) +1 excitatory, -1 inhibitory spike
    spikes: NDArray[np.int8]  # (simulation, time) 1 in a ms with an output spike
    soma_mv: NDArray[np.float32]  # (simulation, time) as stored, spikes not cut off


def read_neuronio(path: Paths, *, recover_spike_times: bool = False) -> NeuronIOData:
    """Read native NeuronIO files whole.

    A file of 128 simulations of 6 s makes 1 GB of inputs; for more than a few, see
    :func:`utils.datasets.neuronio.convert_neuronio`.

    Parameters
    ----------
    path : a file, several, or a folder of files, see :func:`native_files`.
    recover_spike_times : files store the times of output spikes as float16, which is 1 to 4 ms
        coarse from the third second on; take them from the 8 kHz voltage instead. The published
        scores use the stored times.

    Returns
    -------
    What the official loader yields: inputs +1 (excitatory, 0-638) and -1 (inhibitory, 639-1277),
    spikes in ms ``int(t - 0.5)``, and the voltage as it is stored. Evaluation and training cut
    the voltage off at -55 mV.

    Raises
    ------
    FileNotFoundError
        No such file, or a folder without any.
    ValueError
        A file that is damaged, asks for more than plain data, or is not in NeuronIO's format; the
        message names file and field. Nothing in a file is ever executed.
    """
    files = [read_native_file(file, recover_spike_times) for file in native_files(path)]
    same_duration(files)
    return NeuronIOData(
        np.concatenate([file.dense() for file in files]),
        np.concatenate([file.spikes for file in files]).view(np.int8),
        np.concatenate([file.soma_mv.astype(np.float32) for file in files]),
    )


def native_files(path: Paths) -> list[Path]:
    """The native files of a path: itself, or in a folder those named ``*.p`` or ``sim__*``."""
    return list_files(path, _looks_native, "NeuronIO file (*.p or sim__*)")


def list_files(path: Paths, wanted: Callable[[Path], bool], kind: str) -> list[Path]:
    """A file itself, what is wanted of a folder and its sub-folders, or those of several paths."""
    if not isinstance(path, str | Path):
        found = [file for part in path for file in list_files(part, wanted, kind)]
    elif Path(path).is_dir():
        found = sorted(file for file in Path(path).rglob("*") if file.is_file() and wanted(file))
    else:
        found = [file for file in [Path(path)] if file.is_file()]
    if not found:
        raise FileNotFoundError(f"no {kind} at {path}")
    return found


def same_duration(files: Sequence[NeuronIOSimulations]) -> None:
    """Refuse simulations that cannot stand in one array."""
    for file in files[1:]:
        if file.duration != files[0].duration:
            raise ValueError(
                f"simulations of {files[0].source} last {files[0].duration} ms, those of "
                f"{file.source} {file.duration} ms; use files of one duration"
            )


def read_native_file(path: str | Path, recover_spike_times: bool = False) -> NeuronIOSimulations:
    """One native file as lists of events; arguments and errors as of :func:`read_neuronio`."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            contents = _Fields(load_plain_pickle(file), "")
        return _simulations(contents, path.name, recover_spike_times)
    except UnpickleError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    except _FormatError as error:
        raise ValueError(f"{path} is not in the format of NeuronIO: {error}") from None


def _looks_native(path: Path) -> bool:
    named = path.suffix in NATIVE_SUFFIXES or (path.name.startswith("sim__") and not path.suffix)
    return named and not path.name.startswith(".")


class _FormatError(ValueError):
    """A field that is missing or holds what it must not."""


class _Fields:
    """Named values of a dictionary of unknown origin."""

    def __init__(self, values: Any, name: str) -> None:
        if not isinstance(values, Mapping):
            place = name or "the file"
            raise _FormatError(f"{place} holds a {type(values).__name__}, expected a dictionary")
        self.values, self.name = values, name

    def __getitem__(self, field: str) -> Any:
        if field not in self.values:
            raise _FormatError(f"no field {self.label(field)}")
        return self.values[field]

    def fields(self, field: str) -> _Fields:
        """A dictionary within."""
        return _Fields(self[field], self.label(field))

    def list(self, field: str) -> Sequence[Any]:
        """A list within."""
        if not isinstance(self[field], list | tuple | np.ndarray):
            found = type(self[field]).__name__
            raise _FormatError(f"{self.label(field)} is a {found}, expected a list")
        return self[field]

    def numbers(self, field: str) -> NDArray[np.floating]:
        """A list of finite numbers (n,)."""
        values = self.list(field)
        try:
            array = np.asarray(values, None if len(values) else np.float64)
        except ValueError:  # lists within lists, of different lengths
            array = np.asarray(None)
        if array.ndim != 1 or array.dtype.kind not in "fiu":
            raise _FormatError(f"{self.label(field)} is no list of numbers")
        if not np.isfinite(array).all():
            place = int((~np.isfinite(array)).argmax())
            raise _FormatError(f"{self.label(field)} holds {array[place]} at place {place}")
        return array

    def label(self, field: str) -> str:
        return f"{self.name} {field}".strip()


def _simulations(contents: _Fields, source: str, recover_spike_times: bool) -> NeuronIOSimulations:
    params = contents.fields("Params")
    duration = _duration(params)
    types = params.list("allSegmentsType")
    if len(types) != SEGMENTS:
        raise _FormatError(f"Params allSegmentsType has {len(types)} entries, expected {SEGMENTS}")
    runs = contents.fields("Results").list("listOfSingleSimulationDicts")
    if not len(runs):
        raise _FormatError("Results listOfSingleSimulationDicts is empty")
    events, spikes, soma = [], [], []
    for number, values in enumerate(runs):
        run = _Fields(values, f"simulation {number}:")
        events.append(_events(run, duration))
        spikes.append(_output_spikes(run, duration, recover_spike_times))
        soma.append(_voltage(run, "somaVoltageLowRes", duration))
    counts = np.stack([np.bincount(ms, minlength=duration) for ms, _ in events])
    return NeuronIOSimulations(
        idx=np.concatenate([idx for _, idx in events]),
        counts=counts.astype(np.min_scalar_type(counts.max())),
        first=np.concatenate([[0], counts.sum(axis=1).cumsum()]),
        spikes=np.stack(spikes),
        soma_mv=np.stack(soma),
        segment_types=tuple(map(str, types)),
        segment_distances=_distances(params),
        source=source,
    )


def _duration(params: _Fields) -> int:
    """Of a simulation, ms."""
    seconds = params["totalSimDurationInSec"]
    if not isinstance(seconds, int | float | np.number) or not 0 < seconds < np.inf:
        raise _FormatError(f"Params totalSimDurationInSec is {seconds!r}, expected seconds")
    return round(float(seconds) * 1000)


def _distances(params: _Fields) -> NDArray[np.float32]:
    if "allSegments_DistFromSoma" not in params.values:
        return np.full(SEGMENTS, np.nan, np.float32)
    distances = params.numbers("allSegments_DistFromSoma").astype(np.float32)
    if len(distances) != SEGMENTS:
        raise _FormatError(
            f"Params allSegments_DistFromSoma has {len(distances)} entries, expected {SEGMENTS}"
        )
    return distances


def _events(run: _Fields, duration: int) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Time in ms and input of all spikes that arrive, in order of time and input."""
    places = []
    for kind, field in enumerate(("exInputSpikeTimes", "inhInputSpikeTimes")):
        segment, time = _spike_lists(run.fields(field), duration)
        places.append(time * INPUTS + kind * SEGMENTS + segment)
    place = np.sort(np.concatenate(places))
    place = place[np.diff(place, prepend=-1) > 0]  # two spikes of an input in one ms are one
    return place // INPUTS, (place % INPUTS).astype(np.uint16)


def _spike_lists(lists: _Fields, duration: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Segment and time in ms of the spikes in ``{segment: [ms, ...]}``."""
    try:
        segments = np.array([*lists.values], np.float64)
        lengths = [len(times) for times in lists.values.values()]
        flat = chain.from_iterable(lists.values.values())
        times = np.fromiter(flat, np.float64, count=sum(lengths))
    except (TypeError, ValueError):
        raise _FormatError(f"{lists.name} is not {{segment: [ms, ...]}}") from None
    wrong = (segments % 1 != 0) | ~((segments >= 0) & (segments < SEGMENTS))
    if wrong.any():
        found = [*lists.values][wrong.argmax()]
        raise _FormatError(f"{lists.name} has segment {found}, expected 0 to {SEGMENTS - 1}")
    wrong = ~((times >= 0) & (times < duration))
    if wrong.any():
        raise _FormatError(
            f"{lists.name} has a spike at {times[wrong.argmax()]:g} ms, the simulation lasts "
            f"{duration} ms"
        )
    return segments.astype(np.int64).repeat(lengths), times.astype(np.int64)


def _output_spikes(run: _Fields, duration: int, recover: bool) -> NDArray[np.uint8]:
    """(time,) 1 in a ms with an output spike."""
    field = "somaVoltageHighRes" if recover else "outputSpikeTimes"
    times = _spike_maxima(run, duration) if recover else run.numbers(field).astype(np.float64)
    ms = (times - 0.5).astype(np.int64)
    wrong = (ms < 0) | (ms >= duration)
    if wrong.any():
        raise _FormatError(
            f"{run.label(field)} has a spike at {times[wrong.argmax()]:g} ms, the simulation "
            f"lasts {duration} ms"
        )
    spikes = np.zeros(duration, np.uint8)
    spikes[ms] = 1
    return spikes


def _spike_maxima(run: _Fields, duration: int) -> NDArray[np.float64]:
    """Times in ms of the spikes in the voltage of high resolution, which covers the whole run."""
    voltage = run.numbers("somaVoltageHighRes").astype(np.float64)
    if len(voltage) < duration or len(voltage) % duration:
        raise _FormatError(
            f"{run.label('somaVoltageHighRes')} has {len(voltage)} values, expected a multiple of "
            f"{duration}, one or more in each ms"
        )
    peaks, _ = find_peaks(voltage, height=SPIKE_MV)
    return peaks * (duration / len(voltage))


def _voltage(run: _Fields, field: str, duration: int) -> NDArray[np.floating]:
    """(time,) float16 where that is how it is stored, else float32."""
    voltage = run.numbers(field)
    if len(voltage) != duration:
        raise _FormatError(
            f"{run.label(field)} has {len(voltage)} values, expected {duration} (one per ms)"
        )
    return np.array(voltage, np.float16 if voltage.dtype == np.float16 else np.float32)
