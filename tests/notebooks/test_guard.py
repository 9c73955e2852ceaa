"""Every notebook of the project is in order: source and twin agree, outputs are clean."""

import pytest

from utils.notebooks import guard_faults, project_notebooks
from utils.paths import NOTEBOOK_FOLDERS, PROJECT


@pytest.mark.parametrize("source", project_notebooks(), ids=lambda source: source.stem)
def test_notebook_is_in_order(source):
    assert guard_faults(source) == []


def test_no_notebook_escapes_the_guard():
    """A notebook with another kind of name, or a twin without a source, would not be tested."""
    guarded = {source.with_suffix("") for source in project_notebooks()}
    found = {
        file.with_suffix("")
        for folder in NOTEBOOK_FOLDERS
        for file in [*(PROJECT / folder).glob("*.ipynb"), *(PROJECT / folder).glob("*.py")]
    }
    assert found == guarded
