"""The rooms of utils/ know only the rooms before them, and the early ones import without torch."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from utils.models.forecasting import available_forecasters
from utils.paths import PROJECT

ORDER = (  # a room imports from the lines above its own; rooms of one line do not know each other
    {"paths"},
    {"config", "environment"},
    {"notebooks", "splits"},
    {"signals"},
    {"metrics"},
    {"plots"},
    {"simulation", "sessions"},
    {"preprocessing"},
    {"load_meso_session"},
    {"windows"},
    {"datasets"},
    {"training"},
    {"models"},
    {"evaluation"},
    {"widgets", "batch"},
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
SEEN_BY_MODELS = {
    "config",
    "environment",
    "paths",
    "splits",
    "signals",
    "metrics",
    "plots",
    "windows",
    "training",
}
SHARED_BY_FAMILIES = (
    "datasets.v1.config.",  # a schema: what the twin of a recording is built for
    "datasets.vimh.config.",  # a schema: which data set an experiment is about
    "models.folders.",  # how a model is saved
    "models.forecasting.",  # a family's forecaster is one of the registry
)
LATE = {  # imports inside a function that go against the order: (module, imported) -> reason
    ("preprocessing.pipeline", "load_meso_session"): "preprocess() opens a session given by name",
}
ORDINARY_WORDS = {"exponential", "linear", "mean", "var"}  # words with another sense too
WITHOUT_TORCH = [
    *("paths", "config", "splits", "notebooks", "environment", "signals", "metrics", "plots"),
    *("simulation", "sessions", "preprocessing", "load_meso_session", "widgets", "batch"),
]

Import = tuple[str, str, bool]  # module, what it imports (both without "utils."), at its top?


def modules() -> dict[str, Path]:
    """Modules of the package by name without ``utils.``."""
    paths = sorted((PROJECT / "utils").rglob("*.py"))
    names = [path.relative_to(PROJECT / "utils").with_suffix("").parts for path in paths]
    return {
        ".".join(part for part in name if part != "__init__"): path
        for name, path in zip(names, paths)
        if name != ("__init__",)
    }


def imports_in(module: str, source: str) -> Iterator[Import]:
    """Imports from ``utils`` at the top, under TYPE_CHECKING and inside functions."""
    tree = ast.parse(source)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    late = {id(n) for f in ast.walk(tree) if isinstance(f, functions) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"utils.{module} line {node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("utils."):
                yield module, name.removeprefix("utils."), id(node) not in late


def room(name: str) -> str:
    """``signals.causal`` lies in ``signals``."""
    return name.split(".")[0]


def all_imports() -> list[Import]:
    """Imports of all modules of the package from other rooms."""
    found = [i for name, path in modules().items() for i in imports_in(name, path.read_text())]
    return [i for i in found if room(i[0]) != room(i[1])]


def against_order(imports: list[Import]) -> list[Import]:
    """Imports of a room that is not before the importing one."""
    return [i for i in imports if LEVEL[room(i[1])] >= LEVEL[room(i[0])]]


def test_every_room_has_its_place():
    assert {room(name) for name in modules()} <= LEVEL.keys()


def test_rooms_know_only_the_rooms_before_them():
    wrong = against_order(all_imports())
    at_top = [(module, imported) for module, imported, top in wrong if top]
    late = {(module, room(imported)) for module, imported, top in wrong if not top}
    assert at_top == []
    assert late == LATE.keys()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from utils.sessions import alf", [("signals.x", "sessions.alf", True)]),
        ("import utils.batch", [("signals.x", "batch", True)]),
        ("def f():\n    from utils import plots", [("signals.x", "plots", False)]),
        ("if TYPE_CHECKING:\n    from utils import models", [("signals.x", "models", True)]),
        ("from utils.splits import TRAIN\nimport numpy", []),
    ],
)
def test_an_import_against_the_order_is_found(source, found):
    assert against_order(list(imports_in("signals.x", source))) == found


def test_models_see_windows_and_never_sessions_nor_one_another():
    for module, path in modules().items():
        if room(module) == "models":
            known = [imported for _, imported, _ in imports_in(module, path.read_text())]
            family = ".".join(module.split(".")[:2])
            shared = (f"{family}.", *SHARED_BY_FAMILIES)
            others = [i for i in known if not f"{i}.".startswith(shared)]
            assert {room(i) for i in others} <= SEEN_BY_MODELS, module


def test_training_knows_no_model_by_name():
    names = set(available_forecasters()) - ORDINARY_WORDS
    for module, path in modules().items():
        if room(module) == "training":
            code = path.read_text().lower()
            assert [name for name in names if name in code] == [], module


def test_early_rooms_import_without_torch_and_without_warnings():
    wanted = [f"utils.{m}" for m in modules() if room(m) in WITHOUT_TORCH and "__main__" not in m]
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, f'{name} imports torch'\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *wanted],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=os.environ,
    )
    assert run.returncode == 0, run.stderr
