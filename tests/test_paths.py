"""The one module that knows where things lie."""

from pathlib import Path

import pytest

from utils import paths


def test_the_environment_moves_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path / "scratch"))
    assert paths.data_dir() == tmp_path / "scratch"
    assert paths.one_cache_dir() == tmp_path / "scratch" / "one"
    assert paths.sessions_dir().is_dir()
    assert paths.runs_dir().is_dir()


def test_default_data_lie_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(paths.DATA_VARIABLE)
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    assert paths.data_dir() == tmp_path / "DATA"


def test_project_is_the_folder_of_the_readme() -> None:
    assert (paths.PROJECT / "README.md").is_file()
    assert all((paths.PROJECT / folder).is_dir() for folder in paths.NOTEBOOK_FOLDERS)
