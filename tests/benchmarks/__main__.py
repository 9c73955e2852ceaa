"""Run the benchmarks and print their tables: ``python -m tests.benchmarks [name ...]``.

Each ``bench_<name>.py`` has a ``main()`` that prints one Markdown table; without names all run.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from pathlib import Path

import torch

from utils.config import near_matches


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all of them, under a line that says which machine it is."""
    found = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    known = [stem.removeprefix("bench_") for stem in found]
    for name in names:
        if name not in known:
            raise SystemExit(f"no benchmark '{name}'{near_matches(name, known)}")
    print(machine(), flush=True)
    for name in names or known:
        module = importlib.import_module(f"tests.benchmarks.bench_{name}")
        print(f"\n## {name}: {module.__doc__.splitlines()[0]}\n", flush=True)
        module.main()


def machine() -> str:
    """Processor, cores, memory, accelerator, load and versions, in one line."""
    cores, load = os.cpu_count(), os.getloadavg()[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"Machine: {_processor()}, {cores} cores, {memory:.0f} GB, {gpu}, load {load:.1f}; "
        f"{platform.system()}, Python {platform.python_version()}, torch {torch.__version__} "
        f"({torch.get_num_threads()} threads)"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main(sys.argv[1:])
