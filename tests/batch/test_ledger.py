"""A run is found again by exactly what it depends on."""

import pytest

from utils.batch.ledger import code_version, hash_of, package_hash, plan_run
from utils.batch.parameters import ParameterError
from utils.paths import runs_dir


def test_the_key_depends_on_source_parameters_package_and_input(notebooks, monkeypatch):
    source = notebooks.write()
    first = plan_run(source, {"n": 2}, "input").folder
    assert first.parent == runs_dir() / "0_9_tiny"
    assert plan_run(source, {"n": 2}, "input").folder == first
    others = [plan_run(source, {"n": 4}, "input"), plan_run(source, {"n": 2}, "other input")]
    notebooks.write("x = 1")
    others.append(plan_run(source, {"n": 2}, "input"))
    notebooks.write()
    monkeypatch.setattr("utils.batch.ledger.package_hash", lambda: "new code")
    others.append(plan_run(source, {"n": 2}, "input"))
    assert len({first, *(run.folder for run in others)}) == 5


def test_a_default_given_explicitly_is_the_same_run(notebooks):
    source = notebooks.write()
    assert plan_run(source, {"n": 3}, "").folder == plan_run(source, {}, "").folder


def test_planning_refuses_a_typo_and_writes_nothing(notebooks):
    source = notebooks.write()
    with pytest.raises(ParameterError, match="unknown parameter 'm'"):
        plan_run(source, {"m": 2}, "")
    assert not (notebooks.folder / "DATA").exists()


def test_status_follows_the_files(notebooks):
    run = plan_run(notebooks.write(), {}, "")
    assert run.status == "open"
    run.folder.mkdir(parents=True)
    (run.folder / "out.ipynb").write_text("{}")
    assert run.status == "open"
    (run.folder / "failed.json").write_text('{"error": 1}')
    assert run.status == "failed"
    assert run.record == {"error": 1}
    run.forget()
    assert run.status == "open"
    (run.folder / "done.json").write_text("{}")
    assert run.status == "done"


def test_hashes_are_stable():
    assert hash_of({"a": 1, "b": [2]}) == hash_of({"b": [2], "a": 1}) != hash_of({"a": 1})


def test_the_package_hash_sees_code_and_configurations_but_no_pipelines(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.batch.ledger.PROJECT", tmp_path)
    monkeypatch.setattr("utils.batch.ledger.EXPERIMENTS", tmp_path / "experiments")
    files = ["utils/room/code.py", "experiments/model/x.yaml", "experiments/pipeline/x.yaml"]
    hashes = [package_hash()]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("a: 1")
        hashes.append(package_hash())
    assert len(set(hashes[:3])) == 3
    assert hashes[3] == hashes[2]


def test_the_code_version_names_commit_and_lock():
    version = code_version()
    assert len(version["commit"]) == 40 or "not a git clone" in version["commit"]
    assert len(version["lock"]) == 12
