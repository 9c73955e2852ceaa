"""Notebooks: the percent ``.py`` is the source, the ``.ipynb`` its executed twin.

``python -m utils.notebooks refresh [paths]`` executes sources and writes their twins (with
``--check`` it only compares). Two refreshes of the same source give equal files, so a twin changes
in git only when what it shows has changed.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from tqdm.auto import tqdm
from traitlets.config import Config

from utils.config import near_matches
from utils.paths import NOTEBOOK_FOLDERS, PROJECT, data_dir

METADATA = {  # of source and twin alike, as `jupytext --sync` writes it with our pyproject.toml
    "jupytext": {
        "cell_metadata_filter": "tags,-all",
        "formats": "ipynb,py:percent",
        "notebook_metadata_filter": (
            "kernelspec,jupytext,-jupytext.text_representation.jupytext_version"
        ),
    },
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
COMPARED = "nbval-check-output"
OPENS_SESSION = "open_session("  # only such a notebook has a parameter `session`
MAX_TWIN_BYTES = 2_000_000
FORBIDDEN_NAMES = {"interact", "Output", "clear_output", "display_id"}
LEAKS = {
    "a memory address": r"\b0x[0-9a-f]{6,}\b",
    "a time of day": r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d",
    "a path of this machine": r"(?<![\w.:/])/(?:home|root|Users|tmp|private|var/folders)/\S+",
}


class NotebookError(ValueError):
    """A notebook that cannot be used; the message names it, the cell and the way out."""


def project_notebooks() -> list[Path]:
    """The sources of all notebooks of the project, in reading order."""
    return [
        source
        for folder in NOTEBOOK_FOLDERS
        for source in sorted((PROJECT / folder).glob("[0-9]_[0-9]*_*.py"))
    ]


def find_notebook(name: str | Path) -> Path:
    """The source of a notebook given by name (``3_2_informer``) or by the path of either twin."""
    path = Path(name)
    if path.suffix in {".py", ".ipynb"}:
        for candidate in (path.with_suffix(".py"), path):
            if candidate.is_file():
                return candidate.resolve()
    known = {source.stem: source for source in project_notebooks()}
    if path.stem in known and path.parent == Path():
        return known[path.stem]
    raise NotebookError(f"no notebook '{name}'{near_matches(path.stem, sorted(known))}")


def read_source(path: Path) -> NotebookNode:
    """Read a notebook; the result has no outputs and the metadata that all twins share."""
    notebook = jupytext.read(path)
    notebook.metadata = nbformat.from_dict(METADATA)
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index:03d}"
        cell.metadata = nbformat.from_dict({"tags": tags} if (tags := _tags(cell)) else {})
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def parameters_of(notebook: NotebookNode, name: str) -> dict[str, Any]:
    """Names and default values of the one cell tagged ``parameters``.

    Raises
    ------
    NotebookError
        There is no such cell or more than one, or it holds anything but ``name = literal``.
    """
    cells = [cell for cell in notebook.cells if "parameters" in _tags(cell)]
    if len(cells) != 1:
        raise NotebookError(f"{name}: expected one cell tagged 'parameters', found {len(cells)}")
    values: dict[str, Any] = {}
    for statement in ast.parse(cells[0].source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=key)], value=value):
                pass
            case _:
                raise NotebookError(f"{name}: '{ast.unparse(statement)}' is not 'name = literal'")
        try:
            values[key] = ast.literal_eval(value)
        except ValueError:
            raise NotebookError(
                f"{name}: parameter '{key}' = {ast.unparse(value)} is not a plain literal"
            ) from None
    return values


@contextmanager
def private_sockets() -> Iterator[Config]:
    """Settings of a notebook client whose kernel talks over sockets in a folder of its own.

    TCP ports are picked before they are bound, so that kernels which start together can take one
    another's; a private folder cannot be shared by accident.
    """
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        file = str(Path(folder) / "kernel.json")
        yield Config(KernelManager={"transport": "ipc", "connection_file": file})


# ---------------------------------------------------------------------- refresh


def executed_twin(source: Path) -> NotebookNode:
    """Execute a source in its folder and return the twin, cleaned of all that is accidental."""
    notebook = read_source(source)
    with private_sockets() as config:
        client = NotebookClient(
            notebook,
            config=config,
            kernel_name="python3",
            resources={"metadata": {"path": str(source.parent)}},
            timeout=None,
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
        )
        try:
            client.execute()
        except CellExecutionError as error:
            raise NotebookError(f"{source.name} raised\n{_plain_text(str(error))}") from None
    return _clean(notebook)


def twin_text(notebook: NotebookNode) -> str:
    """The file content of a twin."""
    return nbformat.writes(nbformat.from_dict(notebook), version=4) + "\n"


def refresh(source: Path, check: bool = False) -> bool:
    """Execute a source and write its twin; returns whether the twin differed from the file.

    The source gets the standard header, its cells are never touched. With ``check`` nothing is
    written. An output that holds a path of this machine, a memory address or a time of day is
    refused: the cell is named and the old twin stays.
    """
    notebook = executed_twin(source)
    if leaks := output_faults(notebook):
        raise NotebookError(f"{source.name}: " + "; ".join(leaks))
    wanted = {
        source: with_standard_header(source.read_text()),
        source.with_suffix(".ipynb"): twin_text(notebook),
    }
    changed = [p for p, text in wanted.items() if not p.is_file() or p.read_text() != text]
    for path in [] if check else changed:
        part = path.with_name(path.name + ".part")
        part.write_text(wanted[path])
        os.replace(part, path)
    return bool(changed)


def with_standard_header(text: str) -> str:
    """The text of a source with the header that jupytext itself would write."""
    header = jupytext.writes(nbformat.v4.new_notebook(metadata=METADATA), "py:percent")
    cells = re.sub(r"\A# ---\n(?:#.*\n)*?# ---\n", "", text)
    return header.rstrip() + "\n\n" + cells.lstrip("\n")


def _clean(notebook: NotebookNode) -> NotebookNode:
    notebook.metadata.pop("language_info", None)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs if (kept := _without_widget(output))]
    return notebook


def _without_widget(output: NotebookNode) -> NotebookNode | None:
    """A stored widget is dead: keep its text, except for that of a progress bar."""
    data = output.get("data", {})
    if data.pop(WIDGET_VIEW, None) is None:
        return output
    return None if re.search(r"it/s\]|s/it\]|\?it", data.get("text/plain", "")) else output


# ------------------------------------------------------------------------ guard


def guard_faults(source: Path) -> list[str]:
    """Everything that is wrong with a source and its twin; empty when the pair is fine."""
    twin_path = source.with_suffix(".ipynb")
    if not twin_path.is_file():
        return [f"no twin {twin_path.name}; run `make refresh`"]
    text = twin_path.read_text()
    notebook, twin = read_source(source), nbformat.reads(text, as_version=4)
    faults = [*_pair_faults(notebook, twin), *_source_faults(notebook, source.name)]
    faults += [*_count_faults(twin), *output_faults(twin)]
    if with_standard_header(source.read_text()) != source.read_text():
        faults.append("the source lacks the standard header; run `make refresh`")
    if twin.metadata.get("widgets"):
        faults.append("the twin stores widget state")
    if len(text.encode()) > MAX_TWIN_BYTES:
        faults.append(f"the twin has {len(text) / 1e6:.1f} MB, more than {MAX_TWIN_BYTES / 1e6} MB")
    return faults


def output_faults(notebook: NotebookNode) -> list[str]:
    """Errors, widget state and accidental values in the outputs of an executed notebook."""
    faults = []
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            found = []
            if output.output_type == "error":
                found.append(f"the error {output.ename}")
            if WIDGET_VIEW in output.get("data", {}):
                found.append("a widget view")
            found += [f"{what} ({match})" for what, match in _leaks(_text(output))]
            faults += [f"cell {index} shows {item}" for item in found]
    return faults


def _pair_faults(source: NotebookNode, twin: NotebookNode) -> list[str]:
    ours, theirs = ([(c.cell_type, c.source, _tags(c)) for c in n.cells] for n in (source, twin))
    if len(ours) != len(theirs):
        return [f"source has {len(ours)} cells, twin {len(theirs)}; run `make refresh`"]
    different = [i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b]
    return [f"cells {different} differ between source and twin; run `make refresh`"] * bool(
        different
    )


def _count_faults(twin: NotebookNode) -> list[str]:
    code = [cell for cell in twin.cells if cell.cell_type == "code" and cell.source.strip()]
    faults = []
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        faults.append("execution counts are not 1..n; run `make refresh`")
    compared = [cell for cell in code if COMPARED in _tags(cell)]
    if not compared:
        faults.append(f"no cell is tagged '{COMPARED}': nbval would compare nothing")
    faults += [f"tagged cell has no output: {c.source[:40]!r}" for c in compared if not c.outputs]
    return faults


def _source_faults(notebook: NotebookNode, name: str) -> list[str]:
    faults = []
    code = "\n".join(_python_only(c.source) for c in notebook.cells if c.cell_type == "code")
    needed = {"session", "run_dir"} if OPENS_SESSION in code else {"run_dir"}
    try:
        parameters = parameters_of(notebook, name)
        missing = needed - parameters.keys()
        faults += [f"the parameters cell lacks '{key}'" for key in sorted(missing)]
        if parameters.get("run_dir"):
            faults.append("the default of run_dir must be '' (nothing saved interactively)")
    except NotebookError as error:
        faults.append(str(error))
    for node in ast.walk(ast.parse(code)):
        used = {getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "arg", None)}
        used.add(getattr(node, "name", None))
        faults += [f"'{word}' is not testable; see widgets" for word in used & FORBIDDEN_NAMES]
    return faults


def _python_only(source: str) -> str:
    """A cell without IPython magics."""
    return "\n".join(line for line in source.splitlines() if not re.match(r"\s*[%!]", line))


def _leaks(text: str) -> list[tuple[str, str]]:
    found = [(what, m[0]) for what, expr in LEAKS.items() if (m := re.search(expr, text))]
    own = {str(PROJECT), str(data_dir()), str(Path.home())} - {"/"}
    return found + [("a path of this machine", path) for path in own if path in text]


def _text(output: NotebookNode) -> str:
    parts = [output.get("text", ""), *output.get("traceback", [])]
    data = output.get("data", {})
    parts += [str(data[key]) for key in ("text/plain", "text/html", "text/markdown") if key in data]
    return _plain_text("\n".join(parts))


def _plain_text(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


# ----------------------------------------------------------------- command line


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m utils.notebooks refresh [paths] [--check] [-j 2]``."""
    parser = argparse.ArgumentParser(prog="python -m utils.notebooks")
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "refresh", help="execute notebook sources and write their .ipynb twins"
    )
    command.add_argument("paths", nargs="*", help="names or paths; all notebooks by default")
    command.add_argument("--check", action="store_true", help="compare only, write nothing")
    command.add_argument("-j", "--jobs", type=int, default=2, help="notebooks at a time")
    options = parser.parse_args(arguments)
    try:
        sources = [find_notebook(path) for path in options.paths] or project_notebooks()
    except NotebookError as error:
        parser.error(str(error))
    return _refresh_all(sources, options.check, options.jobs)


def _refresh_all(sources: Sequence[Path], check: bool, jobs: int) -> int:
    changed, failed = [], []
    with (
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool,
        tqdm(total=len(sources), desc="refresh", unit="notebook") as bar,
    ):
        tasks = {pool.submit(refresh, source, check): source for source in sources}
        for task in as_completed(tasks):
            source = tasks[task]
            try:
                changed += [source] if task.result() else []
            except Exception as error:
                failed.append(source)
                bar.write(f"FAILED {source.name}: {error}", file=sys.stderr)
            bar.set_postfix_str(source.stem)
            bar.update()
    word = "differ" if check else "rewritten"
    names = ", ".join(source.stem for source in changed) or "none"
    print(f"{len(sources)} notebooks, {len(failed)} failed; twins {word}: {names}")
    return 1 if failed or (check and changed) else 0


if __name__ == "__main__":
    sys.exit(main())
