"""``python -m utils.datasets.vimh generate`` a data set, or ``show`` one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pandas as pd

from utils.datasets.vimh.generate import CHANNEL_LABELS, generate_vimh
from utils.datasets.vimh.read import read_vimh
from utils.datasets.vimh.records import VIMH
from utils.datasets.vimh.report import learnable_heads
from utils.datasets.vimh.write import write_vimh
from utils.paths import data_dir
from utils.simulation.synthesis import SYNTHESISERS, Sampling, synthesiser_config


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns 0 when all went well."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:  # what a wrong file, name or setting raises
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _generate(options: argparse.Namespace) -> None:
    config = synthesiser_config(options.config)
    envelopes = {
        "temporal_envelope": options.temporal,
        "spectral_envelope": options.spectral,
        "normalized": options.normalized,
    }
    vimh = generate_vimh(
        synthesiser_config(config, image=config.image.model_dump() | envelopes),
        options.samples,
        sampling=options.sampling,
        seed=options.seed,
        channels=options.channels,
        shuffle=options.shuffle,
    )
    folder = options.output or data_dir() / "vimh"
    print(write_vimh(vimh, folder / vimh.metadata["dataset_name"], pickle=options.pickle))


def _show(options: argparse.Namespace) -> None:
    vimh = read_vimh(options.folder)
    print(repr(vimh))
    with pd.option_context("display.width", 200, "display.max_columns", None):
        print(_parameters(vimh).to_string(index=False))
        if options.learnable:
            print(learnable_heads(vimh).round(3).to_string(index=False))


def _parameters(vimh: VIMH) -> pd.DataFrame:
    rows = [
        {"parameter": p.name, "min": p.min, "step": p.step, "max": p.max, "classes": p.n_classes}
        for p in vimh.parameters
    ]
    return pd.DataFrame(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m utils.datasets.vimh")
    commands = parser.add_subparsers(required=True)
    generate = commands.add_parser("generate", help="a data set of simulated sounds")
    generate.set_defaults(run=_generate)
    generate.add_argument(
        "--config", default="simple_saw", help=f"one of {', '.join(SYNTHESISERS)}"
    )
    generate.add_argument("--samples", type=int, default=1024, metavar="N")
    generate.add_argument("--sampling", choices=get_args(Sampling), default="uniform")
    generate.add_argument("--seed", type=int, default=0)
    generate.add_argument("--channels", type=int, choices=list(CHANNEL_LABELS), default=1)
    generate.add_argument("--temporal", action="store_true", help="add the temporal envelope")
    generate.add_argument("--spectral", action="store_true", help="add the spectral envelope")
    generate.add_argument("--normalized", action="store_true", help="divide by both envelopes")
    generate.add_argument("--shuffle", action="store_true", help="before the split")
    generate.add_argument("--pickle", action="store_true", help="the pickled variant as well")
    generate.add_argument("--output", type=Path, help="folder of data sets; DATA/vimh if not given")
    show = commands.add_parser("show", help="what a data set holds")
    show.set_defaults(run=_show)
    show.add_argument("folder", type=Path)
    show.add_argument("--learnable", action="store_true", help="which heads can be learned at all")
    return parser


if __name__ == "__main__":
    sys.exit(main())
