"""Train one model on several sessions with different neurons, and fine-tune it on a new one.

Each session keeps a forecaster of its own (scaling, skip, embeddings of its neurons); their
networks hold one and the same ``shared`` part. A model that can do this subclasses
:class:`SessionsForecaster`, and its module keeps in ``shared`` what fits any neuron.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from torch import nn

from utils.models.forecasting.base import DataMismatchError
from utils.models.forecasting.network import NetworkForecaster
from utils.training import SessionsTask, fit_task
from utils.windows.module import SessionsLoader

if TYPE_CHECKING:
    from utils.windows import WindowData

RATE_TOLERANCE = 0.05  # frames of a window must last about as long in all sessions


class SessionsForecaster(NetworkForecaster):
    """A trained forecaster whose network has a part that several sessions can share.

    Fitted on several sessions, it forecasts the first; :meth:`for_session` gives the forecaster
    of another. All are saved and loaded together.
    """

    @property
    def sessions(self) -> list[Self]:
        """The forecasters of all sessions that were trained together, this one first."""
        return [self, *self.others]

    def fit(
        self,
        data: WindowData | Sequence[WindowData],
        *,
        folder: Path | None = None,
        resume: bool = False,
    ) -> Self:
        """Train on the windows of one session, or of several with different neurons.

        Each epoch visits the training windows of all sessions; a batch comes from one of them.
        The weights kept are those with the smallest loss over the validation windows of all.

        Raises
        ------
        DataMismatchError
            Sessions with other windows, frame rates (more than 5 % apart) or covariates.
        """
        self.others = []
        if not isinstance(data, list | tuple):
            return super().fit(data, folder=folder, resume=resume)
        if not data:
            raise DataMismatchError(f"forecaster '{self.name}': no session to fit on")
        if len(data) == 1:
            return super().fit(data[0], folder=folder, resume=resume)
        for session in data:
            self._check_training(session)
            self._check_alike(session, data[0])
        self.others = [type(self)(**self.config.model_dump()) for _ in data[1:]]
        self._fit_together(data, folder, resume)
        return self

    def for_session(self, data: WindowData) -> Self:
        """The forecaster of the session that these windows come from.

        Recordings are recognised by their content, else by the ``uuid`` of their neurons.

        Raises
        ------
        DataMismatchError
            No session, or more than one, has these neurons.
        """
        self._fitted()
        self._check_kind(data)
        alike = [m for m in self.sessions if m.fitted_on.content_hash == data.content_hash]
        found = alike or [model for model in self.sessions if model._same_neurons(data)]
        if len(found) != 1:
            sizes = ", ".join(str(model.fitted_on.n_neurons) for model in self.sessions)
            raise DataMismatchError(
                f"{len(found) or 'none'} of the {len(self.sessions)} sessions of this "
                f"{self.name} ({sizes} neurons) match these {data.n_neurons} neurons; give "
                "neurons a uuid of their own, or learn a new session with fine_tune(data)"
            )
        return found[0]

    def fine_tune(
        self, data: WindowData, minutes: float | None = None, *, freeze_core: bool = True
    ) -> Self:
        """A forecaster of a new session that starts from what was learnt on others.

        Parameters
        ----------
        minutes : use only so much of the training block, its end; None: all of it. Validation
            windows still choose the epoch.
        freeze_core : learn what belongs to the session alone; else all weights.

        Returns
        -------
        A forecaster of the new session; this one does not change.

        Raises
        ------
        DataMismatchError
            Other windows, frame rate or covariates than this model was fitted on.
        """
        self._fitted()
        self._check_kind(data)
        if minutes is not None:
            data = data.last_training(minutes)
        tuned = type(self)(**self.config.model_dump())
        tuned._check_training(data)
        self._check_alike(data, self.fitted_on)
        tuned._remember(data)
        tuned._start(data)
        tuned.network.shared.load_state_dict(self.network.shared.state_dict())
        tuned.network.shared.requires_grad_(not freeze_core)
        tuned._train(data)
        return tuned

    def _fit_together(self, data: Sequence[WindowData], folder: Path | None, resume: bool) -> None:
        trainer = self.config.trainer
        for model, session in zip(self.sessions, data):
            model._remember(session)
            model._start(session)
            model.network.shared = self.network.shared
        task = SessionsTask(nn.ModuleList(m.network for m in self.sessions), trainer)
        loaders = zip(*(self._loaders(session) for session in data))
        train, validation = (SessionsLoader(some, trainer.seed) for some in loaders)
        training = fit_task(task, train, validation, trainer, folder=folder, resume=resume)
        for model in self.sessions:
            model.training = training
            model._ready()

    def _join(self, others: list[Self]) -> None:
        super()._join(others)
        for other in others:  # hold one core again
            other.network.shared = self.network.shared

    def _check_alike(self, data: WindowData, other) -> None:
        """``other`` are windows too, or what a model remembers of its own."""
        for name in ("context", "horizon"):
            self._must_equal(name, getattr(other, name), getattr(data, name))
        if self.config.covariates:
            names = list(other.covariate_names), list(data.covariate_names)
            self._must_equal("covariates", *names)
        if abs(data.frame_rate / other.frame_rate - 1) > RATE_TOLERANCE:
            self._must_equal("frame_rate", other.frame_rate, data.frame_rate)

    def _must_equal(self, name: str, expected: object, found: object) -> None:
        if found != expected:
            raise DataMismatchError(
                f"forecaster '{self.name}' shares weights between sessions, which must agree in "
                f"{name}: expected {expected}, found {found}; load them alike, or fit each alone"
            )
