"""Twins are reproducible, clean, and compared by nbval; bad notebooks are refused by name."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from utils.notebooks import (
    NotebookError,
    executed_twin,
    find_notebook,
    guard_faults,
    main,
    parameters_of,
    project_notebooks,
    read_source,
    refresh,
    twin_text,
    with_standard_header,
)
from utils.paths import PROJECT

GOOD = """\
# %% [markdown]
# # A notebook

# %% tags=["parameters"]
session = "small"
run_dir = ""

# %% tags=["nbval-check-output"]
from tqdm.auto import tqdm
print("mean", 1.5)

# %%
import ipywidgets
import matplotlib.pyplot as plt

for _ in tqdm(range(3)):
    pass
plt.plot([1, 2])
plt.show()
ipywidgets.IntSlider()
"""


def write(folder: Path, text: str, name: str = "0_1_tiny.py") -> Path:
    source = folder / name
    source.write_text(text)
    return source


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    source = write(tmp_path_factory.mktemp("good"), GOOD)
    assert refresh(source) is True
    return source


@pytest.fixture
def pair(good, tmp_path) -> tuple[Path, nbformat.NotebookNode]:
    """A copy of the good pair to spoil: the source and the parsed twin."""
    source = write(tmp_path, good.read_text())
    return source, nbformat.read(good.with_suffix(".ipynb"), as_version=4)


def spoil(source: Path, twin: nbformat.NotebookNode) -> str:
    source.with_suffix(".ipynb").write_text(twin_text(twin))
    return "; ".join(guard_faults(source))


def test_two_refreshes_give_equal_files(good):
    before = good.with_suffix(".ipynb").read_bytes()
    assert refresh(good) is False
    assert good.with_suffix(".ipynb").read_bytes() == before


def test_a_fresh_twin_passes_the_guard_and_keeps_outputs(good):
    assert guard_faults(good) == []
    cells = nbformat.read(good.with_suffix(".ipynb"), as_version=4).cells
    assert [cell.id for cell in cells] == [f"cell-{i:03d}" for i in range(4)]
    assert cells[2].outputs[0].text == "mean 1.5\n"
    figure, slider = cells[3].outputs  # the progress bar is gone, the slider's text is kept
    assert "image/png" in figure.data
    assert slider.data == {"text/plain": "IntSlider(value=0)"}


def test_jupytext_sync_leaves_a_fresh_pair_alone(good, tmp_path):
    for file in (good, good.with_suffix(".ipynb"), PROJECT / "pyproject.toml"):
        shutil.copy(file, tmp_path)
    sync = [sys.executable, "-m", "jupytext", "--sync", "--pre-commit-mode", "0_1_tiny.ipynb"]
    for call in (["git", "init", "-q", "."], ["git", "add", "."], sync):
        result = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    for file in (good, good.with_suffix(".ipynb")):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_refresh_gives_the_source_the_standard_header_only(good):
    assert good.read_text() == with_standard_header(GOOD)
    assert good.read_text().endswith("\n\n" + GOOD)
    odd = "# ---\n# jupyter:\n#   kernelspec: {name: other}\n# ---\n\n" + GOOD
    assert with_standard_header(odd) == with_standard_header(GOOD)


def test_check_finds_a_stale_twin_and_writes_nothing(good, tmp_path, capsys):
    source = write(tmp_path, good.read_text())
    twin = source.with_suffix(".ipynb")
    stale = good.with_suffix(".ipynb").read_text().replace("mean 1.5", "mean 1.4")
    twin.write_text(stale)
    assert main(["refresh", str(source), "--check", "-j", "1"]) == 1
    assert "twins differ: 0_1_tiny" in capsys.readouterr().out
    assert twin.read_text() == stale


def test_an_error_is_named_and_the_old_twin_stays(tmp_path):
    source = write(tmp_path, "# %%\nraise ValueError('no cells left')")
    source.with_suffix(".ipynb").write_text("old")
    with pytest.raises(NotebookError, match=r"(?s)0_1_tiny\.py raised.*no cells left"):
        refresh(source)
    assert source.with_suffix(".ipynb").read_text() == "old"


@pytest.mark.parametrize(
    ("code", "leak"),
    [
        ("object()", "a memory address"),
        ("print('at /home/somebody/file.h5')", "a path of this machine"),
        ("print('2024-12-18 10:11:12')", "a time of day"),
    ],
)
def test_accidental_values_are_refused_with_the_cell(tmp_path, code, leak):
    source = write(tmp_path, f"# %%\nx = 1\n\n# %%\n{code}")
    with pytest.raises(NotebookError, match=f"cell 1 shows {leak}"):
        refresh(source)
    assert not source.with_suffix(".ipynb").exists()


def test_notebooks_run_in_their_own_folder(tmp_path):
    source = write(tmp_path, "# %%\nfrom pathlib import Path\nprint(Path.cwd().name)")
    assert executed_twin(source).cells[0].outputs[0].text.strip() == tmp_path.name


def test_names_are_found_and_misspelt_ones_are_explained(good):
    assert find_notebook(good.with_suffix(".ipynb")) == good
    for source in project_notebooks():
        assert find_notebook(source.stem) == source
    with pytest.raises(NotebookError, match="no notebook '3_2_infromer'"):
        find_notebook("3_2_infromer")


def test_parameters_are_read_with_their_defaults():
    parameters = {"session": "small", "rate": None, "overrides": ["a=1"], "seed": -1}
    code = "\n".join(f"{key} = {value!r}  # comment" for key, value in parameters.items())
    assert parameters_of(notebook_with(code), "tiny") == parameters


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os", "'import os' is not 'name = literal'"),
        ("rate = 5 * x", "parameter 'rate' = 5 \\* x is not a plain literal"),
        ("a, b = 1, 2", "is not 'name = literal'"),
    ],
)
def test_parameters_that_are_no_literals_are_refused(code, message):
    with pytest.raises(NotebookError, match=message):
        parameters_of(notebook_with(code), "tiny")


def notebook_with(code: str) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(code, metadata={"tags": ["parameters"]})
    return nbformat.v4.new_notebook(cells=[cell])


# Each way to spoil a good pair, and what the guard says about it.


def test_guard_needs_a_twin(tmp_path):
    assert "no twin 0_1_tiny.ipynb" in guard_faults(write(tmp_path, GOOD))[0]


def test_guard_finds_a_changed_source(pair):
    source, twin = pair
    source.write_text(source.read_text().replace("1.5", "1.6"))
    assert "cells [2] differ between source and twin" in spoil(source, twin)


def test_guard_finds_a_changed_tag(pair):
    source, twin = pair
    source.write_text(source.read_text().replace('["nbval-check-output"]', '["other"]'))
    assert "cells [2] differ" in spoil(source, twin)


def test_guard_finds_a_missing_cell(pair):
    source, twin = pair
    del twin.cells[3]
    assert "source has 4 cells, twin 3" in spoil(source, twin)


def test_guard_finds_another_header(pair):
    source, twin = pair
    source.write_text(GOOD)
    assert "lacks the standard header" in spoil(source, twin)


def test_guard_finds_stripped_and_reordered_runs(pair):
    source, twin = pair
    twin.cells[2].execution_count = 7
    assert "execution counts are not 1..n" in spoil(source, twin)
    twin.cells[2].outputs = []
    assert "tagged cell has no output" in spoil(source, twin)


def test_guard_finds_bad_outputs(pair):
    source, twin = pair
    output = nbformat.v4.new_output
    twin.cells[3].outputs = [
        output("error", ename="KeyError", evalue="x", traceback=[]),
        output("display_data", data={"application/vnd.jupyter.widget-view+json": {}}),
        output("stream", name="stderr", text="UserWarning in /root/venv/x.py at 0x7f3a2b1c"),
    ]
    twin.metadata["widgets"] = {"state": {}}
    faults = spoil(source, twin)
    for fault in ("KeyError", "a widget view", "memory address", "path of this", "widget state"):
        assert fault in faults


def test_guard_caps_the_size(pair):
    source, twin = pair
    twin.cells[3].outputs[0].data["image/png"] = "A" * 2_100_000
    assert "2.1 MB, more than 2.0 MB" in spoil(source, twin)


@pytest.mark.parametrize(
    "code",
    [
        "from ipywidgets import interact",
        "import ipywidgets as w\nout = w.Output()",
        "display(1, display_id=True)",
        "clear_output()",
    ],
)
def test_guard_finds_what_cannot_be_tested(tmp_path, code):
    source = write(tmp_path, f"{GOOD}\n# %%\n{code}\n")
    source.with_suffix(".ipynb").write_text(twin_text(read_source(source)))
    assert "is not testable" in "; ".join(guard_faults(source))


@pytest.mark.parametrize(("code", "wanted"), [("open_session('small')", True), ("1 + 1", False)])
def test_guard_wants_the_contract_parameters(tmp_path, code, wanted):
    text = GOOD.replace('session = "small"', "").replace('""', '"runs"')
    source = write(tmp_path, f"{text}\n# %%\n{code}\n")
    source.with_suffix(".ipynb").write_text(twin_text(read_source(source)))
    faults = "; ".join(guard_faults(source))
    assert ("lacks 'session'" in faults) == wanted
    assert "default of run_dir must be ''" in faults


def test_guard_wants_something_to_compare(tmp_path):
    source = write(tmp_path, GOOD.replace('tags=["nbval-check-output"]', ""))
    source.with_suffix(".ipynb").write_text(twin_text(read_source(source)))
    assert "nbval would compare nothing" in "; ".join(guard_faults(source))


@pytest.mark.parametrize(("number", "code"), [("1.5", 0), ("1.4", 1)])
def test_nbval_compares_tagged_numbers(pair, number, code):
    source, twin = pair
    del twin.cells[3]
    twin.cells[2].outputs[0].text = f"mean {number}\n"
    source.with_suffix(".ipynb").write_text(twin_text(twin))
    sanitize = PROJECT / "tests" / "nbval_sanitize.cfg"
    options = ["--nbval-lax", "--nbval-current-env", f"--nbval-sanitize-with={sanitize}"]
    call = [sys.executable, "-m", "pytest", "-q", "-c", str(PROJECT / "pyproject.toml"), *options]
    call += [f"--rootdir={source.parent}", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*call, source.with_suffix(".ipynb")], capture_output=True, text=True, cwd=source.parent
    )
    assert result.returncode == code, result.stdout
    assert ("mean 1.4" in result.stdout) == bool(code)
