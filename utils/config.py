"""The one module that loads and validates configurations.

A configuration is a YAML file below ``3_MODELLING/experiments/``, composed by Hydra (groups,
overrides such as ``model.d_model=64``) and validated by a pydantic model that lives beside the
code it configures. An unknown key or a wrong type is a :class:`ConfigError` that names it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, ValidationError

from utils.paths import EXPERIMENTS


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key and the way out."""


class Config(BaseModel):
    """Base of all configurations: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


Schema = TypeVar("Schema", bound=BaseModel)


def load_config(
    name: str, overrides: Sequence[str] = (), schema: type[Schema] | None = None
) -> Schema | dict[str, Any]:
    """Compose ``3_MODELLING/experiments/<name>.yaml`` with overrides and validate it.

    Parameters
    ----------
    name : config below ``3_MODELLING/experiments/``, e.g. ``"preprocessing/default"``.
    overrides : Hydra overrides, e.g. ``["model=linear", "model.context=96"]``. For a config
        inside a group the keys are those of the file itself (``["bin_frames=2"]``).
    schema : pydantic model to validate with; without one a plain dict is returned.

    Raises
    ------
    ConfigError
        Unknown config, unknown key (with near matches), or wrong type.
    """
    if not (EXPERIMENTS / f"{name}.yaml").is_file():
        known = available_configs()
        raise ConfigError(f"no config '{name}' below {EXPERIMENTS}{near_matches(name, known)}")
    values = _compose(name, overrides)
    for group in name.split("/")[:-1]:
        values = values[group]
    return values if schema is None else validate_config(schema, values, where=f"config '{name}'")


def validate_config(schema: type[Schema], values: Mapping[str, Any], where: str) -> Schema:
    """Validate plain values; the error names every wrong key, its value and what was expected."""
    try:
        return schema.model_validate(dict(values))
    except ValidationError as error:
        faults = [_fault(schema, item) for item in error.errors()]
        raise ConfigError(f"{where}: " + "; ".join(faults)) from None


def available_configs() -> list[str]:
    """Names of all configs, e.g. ``preprocessing/default``."""
    files = EXPERIMENTS.rglob("*.yaml")
    return sorted(str(file.relative_to(EXPERIMENTS).with_suffix("")) for file in files)


def config_hash(config: BaseModel | Mapping[str, Any], length: int = 8) -> str:
    """Stable hash of a configuration, independent of the order of its keys."""
    values = config.model_dump(mode="json") if isinstance(config, BaseModel) else dict(config)
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def near_matches(name: str, known: Sequence[str]) -> str:
    """``; did you mean ...`` with similar names, else all of them: the end of an error message."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"; did you mean {', '.join(close)}?" if close else f"; known: {', '.join(known)}"


def _compose(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(EXPERIMENTS), version_base="1.3"):
        try:
            composed = compose(name, overrides=_in_group(name, overrides))
            return OmegaConf.to_container(composed, resolve=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(_explain(name, overrides, error)) from error


def _explain(name: str, overrides: Sequence[str], error: Exception) -> str:
    """What is wrong with an override, in the user's terms and not in Hydra's."""
    base = OmegaConf.to_container(compose(name), resolve=False) if overrides else {}
    for group in name.split("/")[:-1]:
        base = base[group]
    known = _flat_keys(base)
    for text in overrides:
        key = text.lstrip("+~").partition("=")[0]
        if "=" not in text and not text.startswith("~"):
            return f"override '{text}': expected key=value"
        if not text.startswith("+") and key not in known:
            return f"config '{name}': unknown key '{key}'{near_matches(key, known)}"
    first_line = str(error).partition("\n")[0]
    return f"config '{name}' with overrides {list(overrides)}: {first_line}"


def _flat_keys(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys = []
    for key, value in values.items():
        keys.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            keys += _flat_keys(value, f"{prefix}{key}.")
    return keys


def _in_group(name: str, overrides: Sequence[str]) -> list[str]:
    """Hydra nests a config of a group under the group's name; users need not know that."""
    prefix = ".".join(name.split("/")[:-1])
    if not prefix:
        return list(overrides)
    marks = [len(text) - len(text.lstrip("+~")) for text in overrides]
    return [f"{text[:m]}{prefix}.{text[m:]}" for text, m in zip(overrides, marks)]


def _fault(schema: type[BaseModel], item: Mapping[str, Any]) -> str:
    parts, owners = _place(schema, item["loc"])
    key = ".".join(parts) or "config"
    if item["type"] == "extra_forbidden":
        known = list(dict.fromkeys(name for owner in owners for name in owner.model_fields))
        return f"unknown key '{key}'{near_matches(parts[-1], known)}"
    if item["type"] == "union_tag_invalid":
        field, tag, known = (item["ctx"][k] for k in ("discriminator", "tag", "expected_tags"))
        return f"'{key}': unknown {field} {tag!r}; known: {known}"
    says_nothing = item["type"] == "missing" or not item["loc"]  # there is no one value at fault
    found = "" if says_nothing else f" = {item['input']!r}"
    message = item["msg"][:1].lower() + item["msg"][1:]  # names keep their capitals
    return f"'{key}'{found}: {message}"


def _place(
    schema: type[BaseModel], loc: Sequence[str | int]
) -> tuple[list[str], list[type[BaseModel]]]:
    """The key as the user wrote it, and the models in which its last part belongs.

    Pydantic's location also names the type that was chosen from a union; no key says that.
    """
    parts, here, owners = [], [schema], [schema]
    for part in loc:
        chosen = [m for m in here if _has_type(m, part)]
        if chosen and not any(part in m.model_fields for m in here):
            here = chosen
            continue
        parts.append(str(part))
        if isinstance(part, str):
            owners = here
            fields = [m.model_fields[part] for m in here if part in m.model_fields]
            here = [model for field in fields for model in _models_in(field.annotation)]
    return parts, owners or [schema]


def _has_type(model: type[BaseModel], tag: str | int) -> bool:
    kind = model.model_fields.get("type")
    return kind is not None and tag in get_args(kind.annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Models that a field may hold, itself or in a list, a mapping or a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
