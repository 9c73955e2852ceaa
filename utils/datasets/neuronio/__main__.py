"""``python -m utils.datasets.neuronio convert`` native files, or ``simulate`` one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.datasets.neuronio.generate import write_neuronio_like
from utils.datasets.neuronio.store import convert_neuronio, open_neuronio


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns 0 when all went well."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:  # what a wrong file or path raises
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _convert(options: argparse.Namespace) -> None:
    written = convert_neuronio(
        options.source, options.target, recover_spike_times=options.recover_spike_times
    )
    total = sum(path.stat().st_size for path in written)
    print(f"{open_neuronio(written)!r} in {options.target}, {total / 1e6:.3g} MB")


def _simulate(options: argparse.Namespace) -> None:
    path = write_neuronio_like(
        options.path, n_simulations=options.simulations, seconds=options.seconds, seed=options.seed
    )
    print(f"{path}, {path.stat().st_size / 1e6:.3g} MB (simulated)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m utils.datasets.neuronio")
    commands = parser.add_subparsers(required=True)
    convert = commands.add_parser("convert", help="native files to compact ones that are mapped")
    convert.set_defaults(run=_convert)
    convert.add_argument("source", type=Path, nargs="+", help="native files, or folders of them")
    convert.add_argument("target", type=Path, help="folder of the compact files")
    convert.add_argument(
        "--recover-spike-times",
        action="store_true",
        help="output spikes from the 8 kHz voltage instead of the coarse stored times",
    )
    simulate = commands.add_parser("simulate", help="a native file of a simulated neuron")
    simulate.set_defaults(run=_simulate)
    simulate.add_argument("path", type=Path, help="file to write, for example sim__1.p")
    simulate.add_argument("--simulations", type=int, default=64, metavar="N")
    simulate.add_argument("--seconds", type=int, default=6, metavar="S")
    simulate.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
