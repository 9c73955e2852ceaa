"""The compact form of NeuronIO: event lists and voltages that are mapped, not read.

A native file of a few hundred MB becomes one of about a twenty-fifth, in the safetensors format:
any tool can open it, and it is checked to be whole. Batches are slices of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from tqdm.auto import tqdm

from utils.datasets.neuronio.native import (
    Paths,
    list_files,
    native_files,
    read_native_file,
    same_duration,
)
from utils.datasets.neuronio.simulations import (
    NeuronIOBatch,
    NeuronIOSimulations,
    gather_windows,
)
from utils.paths import atomic_file

logger = logging.getLogger(__name__)

SUFFIX = ".neuronio"
FORMAT = "mesotwin neuronio 1"
ARRAYS = {  # of NeuronIOSimulations, with the kinds of numbers and the dimensions
    "idx": ("u", 1),
    "counts": ("u", 2),
    "first": ("i", 1),
    "spikes": ("u", 2),
    "soma_mv": ("f", 2),
    "segment_distances": ("f", 1),
}


def convert_neuronio(
    source: Paths,
    target: str | Path,
    *,
    recover_spike_times: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Convert native NeuronIO files, one at a time, to compact files of the same names.

    A file appears under its name when it is whole and has been read back. Those that are there
    already are kept, so a conversion that was interrupted goes on where it stopped. Memory holds
    one native file, about 3 GB for 128 simulations of 6 s.

    Parameters
    ----------
    source : a native file, several, or a folder, see :func:`native_files`.
    target : folder of the compact files; sub-folders of a source folder are kept.
    recover_spike_times : as of :func:`utils.datasets.neuronio.read_neuronio`.

    Returns
    -------
    The compact files, ``<name of the native file>.neuronio``.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`utils.datasets.neuronio.read_neuronio`; or two sources with the same name.
    """
    sources = native_files(source)
    targets = _targets(source, sources, Path(target))
    sizes = [file.stat().st_size for file in sources]
    with tqdm(total=sum(sizes), unit="B", unit_scale=True, disable=not progress) as bar:
        for native, compact, size in zip(sources, targets, sizes):
            bar.set_description(native.name)
            origin = {"source_bytes": str(size), "recovered": str(recover_spike_times)}
            if not _is_converted(compact, origin):
                _write(compact, read_native_file(native, recover_spike_times), origin)
            bar.update(size)
    total = sum(file.stat().st_size for file in targets)
    logger.info("%d files in %s, %.3g MB, 1/%.1f of the native ones", len(targets), target,
                total / 1e6, sum(sizes) / total)  # fmt: skip
    return targets


def open_neuronio(path: Paths) -> NeuronIOStore:
    """Map converted files; nothing but their headers is read.

    Parameters
    ----------
    path : a ``.neuronio`` file, several, or a folder of them.

    Raises
    ------
    FileNotFoundError
        No such file, or none in the folder.
    ValueError
        A file that is truncated or was not written by :func:`convert_neuronio`, or files of
        different durations.
    """
    paths = converted_files(path)
    files = tuple(open_converted(file) for file in paths)
    same_duration(files)
    return NeuronIOStore(paths, files)


class NeuronIOStore:
    """The simulations of converted files, numbered through.

    Attributes
    ----------
    files : simulations of each file.
    duration : of each simulation, ms.
    """

    def __init__(self, paths: Sequence[Path], files: Sequence[NeuronIOSimulations]) -> None:
        self.paths, self.files = tuple(paths), tuple(files)
        self.duration = files[0].duration
        self._offsets = np.cumsum([0, *map(len, files)])

    def __len__(self) -> int:
        return int(self._offsets[-1])

    def __repr__(self) -> str:
        return (
            f"<{len(self)} NeuronIO simulations of {self.duration} ms in {len(self.files)} files>"
        )

    def __reduce__(self) -> tuple[type, tuple[Sequence[Path]]]:
        """Another process maps the files itself."""
        return open_neuronio, (self.paths,)

    @property
    def n_simulations(self) -> int:
        """In all files."""
        return len(self)

    def spikes_per_simulation(self) -> NDArray[np.int64]:
        """Output spikes, (simulation,)."""
        return np.concatenate([file.spikes.sum(axis=1, dtype=np.int64) for file in self.files])

    def windows(
        self, simulations: NDArray[np.integer], starts: NDArray[np.integer], window: int
    ) -> NeuronIOBatch:
        """A batch of windows of ``window`` ms of some simulations, each from its start on."""
        file = np.searchsorted(self._offsets, simulations, side="right") - 1
        within = simulations - self._offsets[file]
        return gather_windows(self.files, file.tolist(), within.tolist(), starts.tolist(), window)


def converted_files(path: Paths) -> list[Path]:
    """The converted files of a path: itself, or all ``*.neuronio`` in a folder."""
    kind = f"converted NeuronIO file (*{SUFFIX}, made with convert_neuronio)"
    return list_files(path, lambda file: file.suffix == SUFFIX, kind)


def open_converted(path: str | Path) -> NeuronIOSimulations:
    """Map one converted file; errors as of :func:`open_neuronio`."""
    path = Path(path)
    try:
        with safe_open(path, "pt") as file:  # torch maps where numpy would copy
            about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise ValueError(
                    f"{path} is not a converted NeuronIO file: format {about.get('format')!r}, "
                    f"expected {FORMAT!r}"
                )
            arrays = {name: file.get_tensor(name).numpy() for name in ARRAYS}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is truncated or no converted NeuronIO file ({error}); convert it again"
        ) from None
    types = tuple(about["segment_types"].split(","))
    simulations = NeuronIOSimulations(**arrays, segment_types=types, source=about["source"])
    _check(path, simulations)
    return simulations


def _targets(source: Paths, sources: Sequence[Path], folder: Path) -> list[Path]:
    given = [source] if isinstance(source, str | Path) else source
    folders = [Path(part) for part in given if Path(part).is_dir()]
    names = [_name_below(file, folders) for file in sources]
    targets = [folder / name.parent / f"{name.name}{SUFFIX}" for name in names]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ValueError(
            f"two sources are named {twice}; convert them to different folders, or give the "
            "folder that holds both"
        )
    return targets


def _name_below(file: Path, folders: Sequence[Path]) -> Path:
    folder = next((folder for folder in folders if file.is_relative_to(folder)), file.parent)
    return file.relative_to(folder)


def _is_converted(path: Path, origin: dict[str, str]) -> bool:
    """Whether an earlier conversion of the same file, in the same way, is there and whole."""
    try:
        open_converted(path)
        with safe_open(path, "pt") as file:
            return origin.items() <= file.metadata().items()
    except (FileNotFoundError, ValueError):
        return False


def _write(path: Path, simulations: NeuronIOSimulations, origin: dict[str, str]) -> None:
    arrays = {name: getattr(simulations, name) for name in ARRAYS}
    about = {
        "format": FORMAT,
        "source": simulations.source,
        "segment_types": ",".join(simulations.segment_types),
        **origin,
    }
    with atomic_file(path) as temporary:
        temporary.write_bytes(save(arrays, metadata=about))
        written = open_converted(temporary)
        for name, array in arrays.items():
            if not np.array_equal(getattr(written, name), array, equal_nan=True):
                raise OSError(f"{path}: {name} differs from what was written; is the disk full?")


def _check(path: Path, simulations: NeuronIOSimulations) -> None:
    """Refuse arrays that do not belong together."""
    arrays = {name: getattr(simulations, name) for name in ARRAYS}
    kinds = {name: (array.dtype.kind, array.ndim) for name, array in arrays.items()}
    shape = arrays["counts"].shape
    first, n_events = arrays["first"], len(arrays["idx"])
    consistent = (
        kinds == ARRAYS
        and len(first) == len(arrays["counts"]) + 1 > 1
        and arrays["spikes"].shape == arrays["soma_mv"].shape == shape
        and first[0] == 0
        and first[-1] == n_events
        and (np.diff(first) >= 0).all()
    )
    if not consistent:
        shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{path}: arrays do not belong together ({shapes}); convert it again")
