"""``python -m utils.evaluation.spectral``: compare architectures and losses of spectral models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.config import available_configs
from utils.evaluation.spectral.compare import (
    compare_spectral,
    default_folder,
    report,
    spectral_settings,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns 0 when everything was scored."""
    options = _parser().parse_args(arguments)
    folder = options.output or default_folder()
    try:
        settings = spectral_settings(
            options.experiments, options.models, options.losses, options.set
        )
        results = compare_spectral(settings, options.seeds, folder)
    except (ValueError, OSError) as error:  # what a wrong input raises in all rooms
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report(results))
    print(f"written: {folder}/comparison.csv and .md")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m utils.evaluation.spectral",
        description="Fit spectral models and score their heads beside baselines: each experiment, "
        "with each model and each loss where these are given.",
        epilog=f"experiments: {_names('')}; models: {_names('model/')}; losses: {_names('loss/')}",
    )
    parser.add_argument("experiments", nargs="+", metavar="EXPERIMENT")
    parser.add_argument("--models", nargs="+", default=[], metavar="NAME", help="default: its own")
    parser.add_argument("--losses", nargs="+", default=[], metavar="NAME", help="default: its own")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N", help="default: 0")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="such as trainer.max_epochs=10"
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: DATA/runs/spectral")
    return parser


def _names(group: str) -> str:
    prefix = f"spectral/{group}"
    names = [name.removeprefix(prefix) for name in available_configs() if name.startswith(prefix)]
    return ", ".join(name for name in names if "/" not in name)


if __name__ == "__main__":
    sys.exit(main())
