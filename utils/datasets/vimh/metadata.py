"""``vimh_dataset_info.json``: what it must say, and that it does not contradict itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from utils.datasets.vimh.errors import VIMHError
from utils.datasets.vimh.naming import channels_per_image, read_name
from utils.datasets.vimh.parameters import Parameter, default_step
from utils.datasets.vimh.records import (
    HEADER_BYTES,
    LARGEST_IMAGE,
    LARGEST_SIDE,
    MOST_PARAMETERS,
)

INFO = "vimh_dataset_info.json"
FORMAT, VERSION = "VIMH", "2.1"
SIZE = ("height", "width", "channels")
SAMPLE_COUNTS = ("train_samples", "test_samples", "total_samples", "n_samples")


def read_metadata(folder: Path) -> dict[str, Any]:
    """The JSON file of a folder, as far as it is needed to read records.

    Raises
    ------
    FileNotFoundError
        The folder has no such file.
    VIMHError
        No JSON, or a key of :func:`check_layout`.
    """
    path = folder / INFO
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; expected the folder of a VIMH data set")
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no JSON, or no text
        raise VIMHError(f"{path} is not JSON: {error}") from None
    check_layout(metadata, path)
    return metadata


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """The JSON file's text, byte for byte as the format's own writer has it."""
    return json.dumps(metadata, indent=4)


def check_layout(metadata: Any, where: Path | str) -> None:
    """Refuse entries without which records cannot be read: sizes, names, numbers of records.

    Raises
    ------
    VIMHError
        Names the key, what was expected and what was found.
    """
    if not isinstance(metadata, dict):
        raise VIMHError(f"{where}: expected an object with keys, found {type(metadata).__name__}")
    _expect(where, metadata, {"format": FORMAT, "version": VERSION})
    for key in SIZE:
        _check_count(where, metadata, key, 1, LARGEST_SIDE)
    sizes = [metadata[key] for key in SIZE]
    if math.prod(sizes) > LARGEST_IMAGE:
        raise _fault(where, "height x width x channels", f"<= {LARGEST_IMAGE}", sizes)
    names = metadata.get("parameter_names")
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not is_list or len(set(names)) != len(names) or len(names) > MOST_PARAMETERS:
        expected = f"a list of up to {MOST_PARAMETERS} different names"
        raise _fault(where, "parameter_names", expected, names)
    for key in SAMPLE_COUNTS:
        if key in metadata:
            _check_count(where, metadata, key, 0, math.inf)


def check_agreement(metadata: Mapping[str, Any], where: Path | str) -> None:
    """Refuse a JSON file that contradicts itself, or parameters without a range.

    Raises
    ------
    VIMHError
        Names the key, what was expected and what was found.
    """
    sizes = [metadata[key] for key in SIZE]
    _check_parameters(where, metadata)
    _check_sample_counts(where, metadata)
    _check_signal(where, metadata)
    expected = {
        "varying_parameters": len(metadata["parameter_names"]),
        "image_size": "x".join(map(str, sizes)),
        "spectrogram_config.n_bins": metadata["height"],
        "spectrogram_config.sample_rate": metadata.get("sample_rate"),
        "label_encoding.metadata_bytes": HEADER_BYTES,
    }
    _expect(where, metadata, expected)
    labels = metadata.get("channel_labels")
    if labels is not None and (not isinstance(labels, list) or len(labels) != sizes[2]):
        raise _fault(where, "channel_labels", f"a list of {sizes[2]} names", labels)
    check_name(str(metadata.get("dataset_name", "")), metadata, f"{where}, 'dataset_name'")


def check_name(name: str, metadata: Mapping[str, Any], where: str) -> None:
    """Refuse a name of a data set that says something else than its JSON file.

    Raises
    ------
    VIMHError
        Names the key, what was expected and what was found. Other names are not looked at.
    """
    said = {"varying_parameters": len(metadata["parameter_names"])} | dict(metadata)
    for key, value in read_name(name).items():
        if key in said and said[key] != value:
            raise VIMHError(f"{where}: '{name}' says {key} {value:g}, {INFO} says {said[key]}")
    if metadata["channels"] % channels_per_image(name):
        raise VIMHError(
            f"{where}: '{name}' promises {channels_per_image(name)} channels per image with its "
            f"envelopes, {INFO} says {metadata['channels']} channels"
        )


def parameters_of(metadata: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The parameters that vary, in the order of their ids, of checked metadata."""
    mappings = metadata["parameter_mappings"]
    return tuple(_parameter(name, mappings[name]) for name in metadata["parameter_names"])


def _parameter(name: str, entry: Mapping[str, Any]) -> Parameter:
    step = entry.get("step")
    step = default_step(entry["min"], entry["max"]) if step is None else step
    return Parameter(name, entry["min"], step, entry["max"], entry.get("description", ""))


def _check_parameters(where: Path | str, metadata: Mapping[str, Any]) -> None:
    """Ranges of all parameters, and which of them vary."""
    varying = metadata["parameter_names"]
    mappings, fixed = metadata.get("parameter_mappings"), metadata.get("fixed_parameters", {})
    for key, entries in (("parameter_mappings", mappings), ("fixed_parameters", fixed)):
        if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
            raise _fault(where, key, "an object of objects", entries)
    for name in varying:
        if name not in mappings:
            raise _fault(where, f"parameter_mappings.{name}", "min, max and step", None)
    for name, entry in mappings.items():
        _check_range(where, f"parameter_mappings.{name}", entry, name in varying)
    for name, entry in fixed.items():
        if name in varying:
            raise _fault(where, f"fixed_parameters.{name}", "a parameter that does not vary", entry)
        value = mappings.get(name, {}).get("min")
        if value is not None and entry.get("value", value) != value:
            raise _fault(where, f"fixed_parameters.{name}.value", value, entry["value"])


def _check_range(where: Path | str, key: str, entry: Mapping[str, Any], varies: bool) -> None:
    for end in ("min", "max"):
        if not _is_number(entry.get(end)):
            raise _fault(where, f"{key}.{end}", "a finite number", entry.get(end))
    step = entry.get("step")
    if step is not None and (not _is_number(step) or step < 0 or (varies and step == 0)):
        raise _fault(where, f"{key}.step", "a positive number", step)
    if varies and entry["min"] >= entry["max"]:
        raise _fault(where, key, "min < max of a parameter that varies", entry)
    if not varies and entry["min"] != entry["max"]:
        raise _fault(where, key, "min = max, since parameter_names lacks it", entry)
    classes = entry.get("num_classes")  # that the format's own reader adds
    if varies and classes is not None and classes != _parameter(key, entry).n_classes:
        raise _fault(where, f"{key}.num_classes", _parameter(key, entry).n_classes, classes)


def _check_sample_counts(where: Path | str, metadata: Mapping[str, Any]) -> None:
    known = {key: metadata[key] for key in SAMPLE_COUNTS if key in metadata}
    train, test, *_ = SAMPLE_COUNTS
    totals = {known[key] for key in known if key not in (train, test)}
    if train in known and test in known:
        totals.add(known[train] + known[test])
    if len(totals) > 1:
        raise VIMHError(
            f"{where}: train_samples + test_samples, total_samples and n_samples should agree, "
            f"found {known}"
        )


def _check_signal(where: Path | str, metadata: Mapping[str, Any]) -> None:
    for key in ("sample_rate", "duration"):
        value = metadata.get(key)
        if value is not None and not (_is_number(value) and value > 0):
            raise _fault(where, key, "a positive number", value)
    if metadata.get("output_format", "both") not in ("binary", "both"):
        raise _fault(where, "output_format", "'binary' or 'both'", metadata["output_format"])


def _check_count(
    where: Path | str, metadata: Mapping[str, Any], key: str, least: int, most: float
) -> None:
    value = metadata.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        limits = f"{least} .. {most}" if most < math.inf else f">= {least}"
        raise _fault(where, key, f"a whole number {limits}", value)


def _expect(where: Path | str, metadata: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Compare entries with what they must be; those that are missing may be."""
    for key, value in expected.items():
        found = _look_up(metadata, key.split("."))
        if value is not None and found is not None and found != value:
            raise _fault(where, key, repr(value), found)


def _look_up(entries: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        entries = entries.get(key) if isinstance(entries, Mapping) else None
    return entries


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _fault(where: Path | str, key: str, expected: Any, found: Any) -> VIMHError:
    found = "nothing" if found is None else repr(found)
    return VIMHError(f"{where}: '{key}' should be {expected}, found {found}")
