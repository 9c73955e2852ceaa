"""Parameters of notebooks: read from texts, checked against names and types of the defaults.

papermill only warns about a misspelt parameter and never looks at types; here both are refused
before anything starts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from utils.config import near_matches
from utils.notebooks import NotebookError

RESERVED = "run_dir"  # the ledger decides where a run lies


class ParameterError(ValueError):
    """A parameter with a wrong name or type; the message names it and what was expected."""


def parse_parameters(pairs: Sequence[tuple[str, str]], defaults: Mapping[str, Any]) -> dict:
    """Texts of the command line -> values of the types of the notebook's defaults.

    A text parameter keeps its text (``"1e-3"`` stays a string), a number parameter must be a
    number, lists and dicts are JSON or YAML, and a parameter whose default is None takes any
    literal, else the text.
    """
    _check_names([name for name, _ in pairs], defaults)
    return {name: _parse(name, text, defaults[name]) for name, text in pairs}


def check_parameters(given: Mapping[str, Any], defaults: Mapping[str, Any], notebook: str) -> dict:
    """Complete parameters: the defaults, replaced where given, without ``run_dir``.

    Raises
    ------
    ParameterError
        Unknown name (with near matches), or a value of another type than the default.
    NotebookError
        The notebook has no ``run_dir`` parameter, so that its results would be lost.
    """
    if RESERVED not in defaults:
        raise NotebookError(f"{notebook}: no parameter '{RESERVED}', so a run could save nothing")
    _check_names(list(given), defaults)
    for name, value in given.items():
        if not _fits(value, defaults[name]):
            raise ParameterError(_wrong_type(name, value, defaults[name]))
    complete = {**defaults, **given}
    complete.pop(RESERVED)
    return complete


def _check_names(names: Sequence[str], defaults: Mapping[str, Any]) -> None:
    known = [name for name in defaults if name != RESERVED]
    for name in names:
        if name == RESERVED:
            raise ParameterError(f"parameter '{RESERVED}' is set by the run ledger; leave it out")
        if name not in known:
            raise ParameterError(f"unknown parameter '{name}'{near_matches(name, known)}")


def _parse(name: str, text: str, default: Any) -> Any:
    if isinstance(default, str):
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = _parse_loosely(text, default)
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if not _fits(value, default):
        raise ParameterError(_wrong_type(name, text, default))
    return value


def _parse_loosely(text: str, default: Any) -> Any:
    """What is not JSON: ``True``, ``None``, ``.5``, a YAML list such as ``[a=1, b=2]``, a text."""
    if isinstance(default, float) or default is None:
        try:
            return float(text)
        except ValueError:
            pass
    if default is None and not text.startswith(("[", "{")):
        return {"None": None, "True": True, "False": False}.get(text, text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _fits(value: Any, default: Any) -> bool:
    if default is None or value is None:
        return default is None
    if isinstance(default, float):
        return isinstance(value, float | int) and not isinstance(value, bool)
    return type(value) is type(default)


def _wrong_type(name: str, value: Any, default: Any) -> str:
    return (
        f"parameter '{name}' = {value!r}: expected {type(default).__name__} such as {default!r}, "
        f"found {type(value).__name__}"
    )
