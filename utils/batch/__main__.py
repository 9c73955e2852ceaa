"""Command line: ``python -m utils.batch run|pipeline|apply|report``."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Mapping, Sequence

import yaml

from utils.batch.apply import apply_run
from utils.batch.engine import Engine, dask_client
from utils.batch.inputs import session_input
from utils.batch.parameters import ParameterError, parse_parameters
from utils.batch.pipeline import Outcome, Pipeline, PipelineRun, Step, failures
from utils.batch.record import find_record, record_pipeline
from utils.batch.report import duration, leaderboard_text, write_report
from utils.config import ConfigError, load_config
from utils.notebooks import find_notebook, parameters_of, read_source
from utils.paths import runs_dir

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns 0 when all notebooks succeeded."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    options = _parser().parse_args(arguments)
    try:
        return options.action(options)
    except (ValueError, FileNotFoundError) as error:  # what a wrong input raises in all rooms
        logger.debug("where it was raised", exc_info=True)
        print(f"error: {error}", file=sys.stderr)
        return 2


def run_notebook(options: argparse.Namespace) -> int:
    """Execute one notebook with parameters."""
    source = find_notebook(options.notebook)
    pairs = list(zip(options.parameters[::2], options.parameters[1::2]))
    if len(options.parameters) % 2:
        raise ParameterError(f"'{options.parameters[-1]}' has no value; give -p key value ...")
    defaults = parameters_of(read_source(source), source.name)
    given = parse_parameters(pairs, defaults)
    complete = {**defaults, **given}
    given.pop("session", None)  # the notebook runs in its own folder and gets the path resolved
    step = Step(notebook=str(source), parameters=given)
    batch = PipelineRun(Pipeline(steps=(step,)), retry=options.retry)
    batch.check()
    if "session" in complete:
        rate = complete.get("rate")
        batch = PipelineRun(
            batch.pipeline, session_input(complete["session"], rate), rate, options.retry
        )
    with dask_client(_engine(options, workers=1)) as client:
        outcomes = batch.execute(client)
    return _tell(outcomes)


def run_pipeline(options: argparse.Namespace) -> int:
    """Execute all notebooks of a pipeline on one session and write the report."""
    started = time.monotonic()
    name = "quick" if options.quick else options.pipeline
    pipeline = load_config(f"pipeline/{name}", schema=Pipeline)
    PipelineRun(pipeline, rate=options.rate).check()
    session = session_input(options.session, options.rate)
    print(session.text)
    batch = PipelineRun(pipeline, session, options.rate, options.retry)
    with dask_client(_engine(options)) as client:
        outcomes = batch.execute(client)
    seconds = time.monotonic() - started
    folder = record_pipeline(name, session, outcomes, seconds)
    report = write_report(folder)
    code = _tell(outcomes)
    print(f"\n{leaderboard_text(folder) or 'no leaderboard was made'}")
    print(f"\n{duration(seconds)}; report: {report}")
    return code


def apply_model(options: argparse.Namespace) -> int:
    """Use the model of a run on another session."""
    folder = apply_run(options.run, options.session, options.rate)
    print(f"predictions.h5, tables/scores.csv and metrics.json are in {folder}")
    return 0


def make_report(options: argparse.Namespace) -> int:
    """Write the report of a finished pipeline again."""
    print(write_report(find_record(options.pipeline)))
    return 0


def _tell(outcomes: Mapping[str, Outcome]) -> int:
    """Print how the steps ended; the exit code is 1 when one did not succeed."""
    kept = sum(outcome.state == "kept" for outcome in outcomes.values())
    if kept:
        print(f"{kept} of {len(outcomes)} notebooks were finished before and were not repeated")
    for outcome in outcomes.values():
        if outcome.run is not None and outcome.succeeded:
            seconds = duration(outcome.run.record["seconds"])
            print(f"  {outcome.state:<5} {outcome.run.notebook:<32} {seconds:>12}", end="  ")
            print(outcome.run.folder.relative_to(runs_dir()))
    for outcome in failures(outcomes):
        print(f"{outcome.state.upper()}: {outcome.name}: {outcome.message}", file=sys.stderr)
        if outcome.run is not None and outcome.run.folder.is_dir():
            hint = " (repeat it with --retry)" if outcome.run.status == "failed" else ""
            print(f"  see {outcome.run.folder / 'out.ipynb'}{hint}", file=sys.stderr)
    return 1 if failures(outcomes) else 0


def _engine(options: argparse.Namespace, workers: int | None = None) -> Engine:
    slurm = {}
    for text in options.slurm:
        key, separator, value = text.partition("=")
        if not separator:
            raise ConfigError(f"--slurm {text}: expected KEY=VALUE, e.g. --slurm queue=gpu")
        slurm[key] = yaml.safe_load(value)
    count = options.workers if options.workers is not None else workers
    return Engine(cluster=options.cluster, workers=count, scheduler=options.scheduler, slurm=slurm)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m utils.batch", description=__doc__)
    commands = parser.add_subparsers(required=True)

    run = commands.add_parser("run", help="execute one notebook with parameters")
    run.add_argument("notebook", help="name (3_2_informer) or path")
    run.add_argument(
        "-p",
        dest="parameters",
        nargs="+",
        action="extend",
        default=[],
        metavar="X",
        help="key value pairs",
    )
    run.set_defaults(action=run_notebook)

    pipeline = commands.add_parser("pipeline", help="execute all notebooks and write the report")
    pipeline.add_argument(
        "--session", default="sample", help="sample, small, eid, or path of a session"
    )
    pipeline.add_argument(
        "--rate", type=float, metavar="HZ", help="frame rate of a recording that lacks it (nominal)"
    )
    pipeline.add_argument(
        "--pipeline",
        default="default",
        metavar="NAME",
        help="config below 3_MODELLING/experiments/pipeline",
    )
    pipeline.add_argument("--quick", action="store_true", help="short training, for a check")
    pipeline.set_defaults(action=run_pipeline)

    for command in (run, pipeline):
        command.add_argument("--retry", action="store_true", help="repeat notebooks that raised")
        command.add_argument("--workers", type=int, help="notebooks at a time")
        command.add_argument("--cluster", choices=("local", "slurm"), default="local")
        command.add_argument(
            "--slurm",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="option of dask_jobqueue.SLURMCluster",
        )
        command.add_argument("--scheduler", metavar="ADDRESS", help="a running Dask scheduler")

    apply = commands.add_parser("apply", help="use the model of a run on another session")
    apply.add_argument("run", help="run folder, or <notebook>/<key> of the ledger")
    apply.add_argument("--session", required=True)
    apply.add_argument("--rate", type=float, metavar="HZ")
    apply.set_defaults(action=apply_model)

    report = commands.add_parser("report", help="write the report of a finished pipeline again")
    report.add_argument("pipeline", nargs="?", help="its folder; the latest one by default")
    report.set_defaults(action=make_report)
    return parser


if __name__ == "__main__":
    sys.exit(main())
