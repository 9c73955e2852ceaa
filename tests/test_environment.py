"""environment.yml says what pyproject.toml says."""

import platform
import tomllib

import yaml

from utils.environment import environment_yml, installed_versions
from utils.paths import PROJECT


def test_the_file_is_up_to_date():
    expected = environment_yml((PROJECT / "pyproject.toml").read_text())
    found = (PROJECT / "environment.yml").read_bytes()
    assert found == expected.encode(), "run `python -m utils.environment`"


def test_all_dependencies_are_listed_once_in_valid_yaml():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert (environment["name"], python, pip) == ("mesotwin", "python>=3.11", "pip")
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert packages["pip"] == ["-c requirements.lock", *wanted, "-e ."]


def test_a_changed_dependency_changes_the_file():
    text = (PROJECT / "pyproject.toml").read_text()
    changed = text.replace('"numpy>=2.0"', '"numpy>=2.5"')
    assert '      - "numpy>=2.5"\n' in environment_yml(changed)


def test_versions_name_what_is_not_installed():
    found = installed_versions(["pyyaml", "no-such-package"])
    expected = {"python": platform.python_version(), "pyyaml": yaml.__version__}
    assert found == {**expected, "no-such-package": "not installed"}
