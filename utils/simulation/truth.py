"""The ground truth of a simulated session, in a folder that ONE does not index.

``simulation_truth/truth.h5`` holds (A areas, per FOV n cells in the order of
``np.flatnonzero(mpciROITypes)``):

| key | shape | meaning |
|---|---|---|
| times | (T,) | s, start of each bin; bins of one frame, from 0, through the gap |
| area_names, area_coupling | (A,), (A, A) | weights (to, from) between the areas' latents |
| shared_latents, area_latents, events | (12, T), (A, 4, T), (6, T) | unit variance |
| event_names | (6,) | |
| noise_times, noise_frames | (n,), (n, 15, 15) | sparse noise of the passive bout |
| FOV_XX/spikes, FOV_XX/rates | (T, n) | counts; Hz |
| FOV_XX/area, base_rate, visual_gain, azimuth, elevation, field_size, polarity, half_contrast, exponent | (n,) | see ``neurons.Cells`` |
| FOV_XX/shared_weights, area_weights, event_weights | (n, 12), (n, 4), (n, 6) | of the log-rate |
| FOV_XX/receptive_fields | (n, 15, 15) | 0 for a cell that is not visual |
| FOV_XX/contrasts, contrast_tuning | (5,), (n, 5) | relative response; 0 where not visual |
| FOV_XX/brightness, neuropil, contamination, amplitude | (N,) | optics, per ROI |
| FOV_XX/cells, constant, negative | ROI indices | |
"""  # noqa: E501

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from utils.paths import TRUTH_FOLDER
from utils.simulation.anatomy import AREA_NAMES
from utils.simulation.behaviour import CONTRASTS
from utils.simulation.latents import EVENTS
from utils.simulation.neurons import receptive_fields
from utils.simulation.recording import Recording, Settings, World, truth_times
from utils.simulation.timeline import STEPS_PER_FRAME

OPTICS = ("brightness", "neuropil", "contamination", "amplitude")


class Truth(Mapping[str, np.ndarray]):
    """Arrays of the ground truth by name, read from disk when asked for."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "truth.h5"
        self.settings: dict[str, Any] = read_settings(folder.parent)
        with h5py.File(self._path) as file:
            names: list[str] = []
            file.visititems(
                lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
            )
        self._names = tuple(names)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(f"no '{name}' in {self._path}; known: {', '.join(self._names)}")
        with h5py.File(self._path) as file:
            values = file[name][()]
        return values.astype(str) if values.dtype == object else values

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def load_truth(session_path: str | Path) -> Truth:
    """Ground truth of the simulated session at ``session_path``.

    Raises
    ------
    FileNotFoundError
        The session is not a simulated one.
    """
    folder = Path(session_path) / TRUTH_FOLDER
    if not (folder / "truth.h5").is_file():
        raise FileNotFoundError(
            f"{session_path} has no {TRUTH_FOLDER}/truth.h5: not a simulated session"
        )
    return Truth(folder)


def read_settings(session: Path) -> dict[str, Any] | None:
    """Settings that the session was simulated with; None where it is no simulated session."""
    path = session / TRUTH_FOLDER / "simulation.json"
    return json.loads(path.read_text()) if path.is_file() else None


def write_world_truth(session: Path, world: World) -> None:
    """Write what all FOVs share. The settings follow last, with :func:`write_settings`."""
    (session / TRUTH_FOLDER).mkdir(parents=True)
    latents, behaviour = world.latents, world.behaviour
    times = truth_times(world.timeline)
    first = slice(0, len(times) * STEPS_PER_FRAME, STEPS_PER_FRAME)
    with h5py.File(session / TRUTH_FOLDER / "truth.h5", "w") as file:
        file["times"] = times
        file["area_names"] = list(AREA_NAMES)
        file["area_coupling"] = latents.area_coupling
        file["shared_latents"] = latents.shared[:, first]
        file["area_latents"] = latents.area[:, :, first]
        file["events"] = latents.events[:, first]
        file["event_names"] = list(EVENTS)
        file["noise_times"] = behaviour.noise_times
        file["noise_frames"] = behaviour.noise_frames


def write_fov_truth(session: Path, index: int, recording: Recording) -> None:
    """Add the group ``FOV_XX``."""
    cells = recording.cells
    visual = (cells.visual_gain > 0)[:, None]
    with h5py.File(session / TRUTH_FOLDER / "truth.h5", "a") as file:
        group = file.create_group(f"FOV_{index:02d}")
        group.create_dataset("spikes", data=recording.spikes, compression="lzf")
        group["rates"] = recording.rates
        for name, value in vars(cells).items():
            group[name] = value
        group["receptive_fields"] = receptive_fields(cells) * visual[..., None]
        group["contrasts"] = CONTRASTS
        group["contrast_tuning"] = cells.contrast_response(CONTRASTS) * visual
        for name in OPTICS:
            group[name] = getattr(recording.optics, name)
        group["cells"] = np.flatnonzero(recording.fov.is_cell)
        group["constant"] = recording.constant
        group["negative"] = recording.negative


def write_settings(session: Path, settings: Settings) -> None:
    """Write ``simulation.json``: its presence says that the session is complete."""
    text = json.dumps({"simulated": True, **asdict(settings)}, indent=1)
    (session / TRUTH_FOLDER / "simulation.json").write_text(text)
