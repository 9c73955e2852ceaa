"""What the project needs, and what is installed.

``environment.yml`` repeats the dependencies of ``pyproject.toml`` for users of conda:
``python -m utils.environment`` writes the file; a test compares its bytes.
"""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from utils.paths import PROJECT

HEADER = """\
# Written by `python -m utils.environment` from pyproject.toml; edit that file instead.
# conda env create -f environment.yml
"""


def environment_yml(pyproject: str) -> str:
    """The content of ``environment.yml`` for the text of a ``pyproject.toml``.

    conda brings only Python and pip; pip installs the project, held to the versions of
    ``requirements.lock``, so that both ways of installing give the same packages.
    """
    project = tomllib.loads(pyproject)["project"]
    extras = project.get("optional-dependencies", {}).get("dev", [])
    pip = ["-c requirements.lock", *project["dependencies"], *extras, "-e ."]
    lines = [f"name: {project['name']}", "channels: [conda-forge]", "dependencies:"]
    lines += [f"  - python{project['requires-python']}", "  - pip", "  - pip:"]
    lines += [f'      - "{requirement}"' for requirement in pip]
    return HEADER + "\n".join(lines) + "\n"


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Version of Python and of each package, as runs, models and session files keep them."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def main() -> None:
    """Write ``environment.yml`` beside ``pyproject.toml``."""
    text = environment_yml((PROJECT / "pyproject.toml").read_text())
    (PROJECT / "environment.yml").write_text(text)


if __name__ == "__main__":
    main()
