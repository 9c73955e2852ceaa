"""A tiny notebook and a Dask client that the tests of batches share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from utils.batch.engine import Engine, dask_client

TINY = """\
# %% tags=["parameters"]
n = 3
rate = 0.5
overrides = []
text = "x"
optional = None
run_dir = ""

# %%
from pathlib import Path
from utils.batch import RunFolder

run = RunFolder(run_dir)
print("squares up to", n)

# %%
{body}

# %%
run.save_metrics({{"square": n**2, "text": text}})
"""


class Notebooks:
    """Writes tiny notebooks whose middle cell is the code of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, body: str = "pass", name: str = "0_9_tiny") -> Path:
        source = self.folder / f"{name}.py"
        source.write_text(TINY.format(body=body))
        return source


@pytest.fixture
def notebooks(tmp_path, monkeypatch) -> Notebooks:
    """Tiny notebooks, and a ledger of this test's own that no edit of the package disturbs."""
    monkeypatch.setenv("MESOTWIN_DATA", str(tmp_path / "DATA"))
    monkeypatch.setattr("utils.batch.ledger.package_hash", lambda: "package")
    return Notebooks(tmp_path)


@pytest.fixture(scope="package")
def client() -> Iterator[Client]:
    with dask_client(Engine(workers=2)) as client:
        yield client
