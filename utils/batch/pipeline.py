"""A pipeline: notebooks in the order of what they need, each run kept in the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from distributed import Client, Future, wait
from pydantic import model_validator
from tqdm.auto import tqdm

from utils.batch.engine import gpu_resources
from utils.batch.execute import execute
from utils.batch.inputs import SessionInput
from utils.batch.ledger import Run, plan_run
from utils.batch.parameters import ParameterError
from utils.config import Config, near_matches
from utils.notebooks import find_notebook, parameters_of, read_source

State = Literal["done", "kept", "failed", "failed before", "killed", "not run"]
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}]{postfix}"  # a rate would say nothing
SUCCESS: tuple[State, ...] = ("done", "kept")


class Step(Config):
    """One notebook of a pipeline.

    ``after`` names steps that must have succeeded. ``model_runs`` names steps that must have
    ended; the run folders of those that succeeded are passed on in the parameter of that name.
    """

    notebook: str
    parameters: dict[str, Any] = {}
    after: tuple[str, ...] = ()
    model_runs: tuple[str, ...] = ()
    gpu: bool = False


class Pipeline(Config):
    """Steps in an order in which each one follows what it needs.

    ``notebook_defaults`` leaves all parameters of the steps out: notebooks run at small size.
    """

    steps: tuple[Step, ...]
    notebook_defaults: bool = False

    @model_validator(mode="after")
    def _needs_come_first(self) -> Pipeline:
        earlier: list[str] = []
        for step in self.steps:
            for need in (*step.after, *step.model_runs):
                if need not in earlier:
                    hint = near_matches(need, earlier) if earlier else ""
                    raise ValueError(f"'{step.notebook}' needs '{need}' before it{hint}")
            if step.notebook in earlier:
                raise ValueError(f"'{step.notebook}' is listed twice")
            earlier.append(step.notebook)
        return self


@dataclass(frozen=True)
class Outcome:
    """How a step ended: ``kept`` was finished and ``failed before`` had failed by an earlier call.

    ``message`` says in one line what went wrong, empty after success.
    """

    step: str
    state: State
    run: Run | None = None
    message: str = ""

    @property
    def name(self) -> str:
        """The notebook's name."""
        return Path(self.step).stem

    @property
    def succeeded(self) -> bool:
        """Whether the run's results can be used."""
        return self.state in SUCCESS


@dataclass
class PipelineRun:
    """One pass through a pipeline on one session."""

    pipeline: Pipeline
    session: SessionInput | None = None
    rate: float | None = None
    retry: bool = False
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse unknown notebooks and parameters before anything starts.

        Raises
        ------
        NotebookError, ParameterError
        """
        plans = [self._plan(step, [Path()] * len(step.model_runs)) for step in self.pipeline.steps]
        if self.rate is not None and not any("rate" in plan.parameters for plan in plans):
            raise ParameterError("a rate was given, but no notebook has a parameter 'rate'")

    def execute(self, client: Client) -> dict[str, Outcome]:
        """Execute all steps that can be, each as soon as what it needs is there."""
        running: dict[Future, tuple[Step, Run]] = {}
        total = len(self.pipeline.steps)
        with tqdm(total=total, desc="notebooks", bar_format=BAR) as bar:
            while len(self.outcomes) < total:
                busy = {step.notebook for step, _ in running.values()}
                for step in self._ready(busy):
                    self._start(step, client, running)
                for outcome in _finished(running):
                    self.outcomes[outcome.step] = outcome
                bar.n = len(self.outcomes)
                bar.set_postfix_str(", ".join(run.notebook for _, run in running.values()))
        return {step.notebook: self.outcomes[step.notebook] for step in self.pipeline.steps}

    def _ready(self, busy: set[str]) -> list[Step]:
        return [
            step
            for step in self.pipeline.steps
            if step.notebook not in busy
            and step.notebook not in self.outcomes
            and all(need in self.outcomes for need in (*step.after, *step.model_runs))
        ]

    def _start(self, step: Step, client: Client, running: dict) -> None:
        """Submit a step, or settle it at once where nothing is to be executed."""
        missing = [need for need in step.after if not self.outcomes[need].succeeded]
        models = [o.run.folder for n in step.model_runs if (o := self.outcomes[n]).succeeded]
        if missing:
            causes = ", ".join(Path(need).stem for need in missing)
            self._settle(Outcome(step.notebook, "not run", message=f"it needs {causes}"))
            return
        run = self._plan(step, models)
        if run.status == "failed" and self.retry:
            run.forget()
        if run.status == "done":
            self._settle(Outcome(step.notebook, "kept", run))
        elif run.status == "failed":
            self._settle(Outcome(step.notebook, "failed before", run, _what_failed(run)))
        else:
            resources = gpu_resources(client, step.gpu)
            priority = -self.pipeline.steps.index(step)  # earlier in the list starts first
            future = client.submit(execute, run, pure=False, resources=resources, priority=priority)
            running[future] = step, run

    def _settle(self, outcome: Outcome) -> None:
        self.outcomes[outcome.step] = outcome

    def _plan(self, step: Step, models: Sequence[Path]) -> Run:
        source = find_notebook(step.notebook)
        declared = parameters_of(read_source(source), source.name)
        given: dict[str, Any] = {}
        if self.session is not None and "session" in declared:
            given["session"] = self.session.reference
        if self.rate is not None and "rate" in declared:
            given["rate"] = self.rate
        if not self.pipeline.notebook_defaults:
            given |= step.parameters
        if step.model_runs:
            given["model_runs"] = [str(folder) for folder in models]
        return plan_run(source, given, self.session.content_hash if self.session else "")


def _finished(running: dict[Future, tuple[Step, Run]]) -> Iterator[Outcome]:
    """Outcomes of the runs that ended within the next second."""
    if not running:
        return
    try:
        ended = wait(list(running), timeout=1, return_when="FIRST_COMPLETED").done
    except TimeoutError:
        return
    for future in ended:
        step, run = running.pop(future)
        if future.status != "finished":
            yield Outcome(step.notebook, "killed", run, _first_line(future.exception()))
        elif run.status == "done":
            yield Outcome(step.notebook, "done", run)
        else:
            yield Outcome(step.notebook, "failed", run, _what_failed(run))


def _what_failed(run: Run) -> str:
    error = run.record["error"]
    lines = error["message"].splitlines() or [""]
    return f"cell {error['cell']}: {error['name']}: {lines[0]}"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def failures(outcomes: Mapping[str, Outcome]) -> list[Outcome]:
    """The steps that did not succeed."""
    return [outcome for outcome in outcomes.values() if not outcome.succeeded]
