"""Write ``environment.yml`` from ``pyproject.toml``: one list of dependencies, for conda users too.

``python -m utils.environment`` writes the file; a test compares its bytes.
"""

from __future__ import annotations

import tomllib

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


def main() -> None:
    """Write ``environment.yml`` beside ``pyproject.toml``."""
    text = environment_yml((PROJECT / "pyproject.toml").read_text())
    (PROJECT / "environment.yml").write_text(text)


if __name__ == "__main__":
    main()
