"""Use the model of a run on another session: forecasts, scores, and a ledger entry of their own."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from utils.batch.inputs import session_input
from utils.batch.ledger import code_version, hash_of, package_hash
from utils.batch.run_folder import RunFolder, write_json
from utils.paths import runs_dir, sessions_dir

if TYPE_CHECKING:
    from utils.models.forecasting import Forecaster

logger = logging.getLogger(__name__)


def apply_run(run: str | Path, session: str, rate: float | None = None) -> Path:
    """Forecast another session with a trained model; a finished application is not repeated.

    Parameters
    ----------
    run : run folder that holds ``model/``, or the folder of a saved model itself.
    session : reference that ``open_session`` understands.
    rate : frames per second of a recording that does not know its own.

    Returns
    -------
    ``DATA/runs/apply/<key>/`` with ``predictions.h5``, ``tables/scores.csv``, ``metrics.json`` and
    ``done.json``.

    Raises
    ------
    ModelFolderError
        The run holds no usable model.
    DataMismatchError
        The session has other neurons than the model was fitted on, and the model cannot transfer.
    """
    from utils.models.forecasting import load_model

    model = _model_folder(Path(run))
    forecaster = load_model(model)
    data = session_input(session, rate)
    weights = hash_of([(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in _files(model)])
    hashes = {"model": weights, "input": data.content_hash, "package": package_hash()}
    folder = runs_dir() / "apply" / hash_of(hashes)
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if (folder / "done.json").is_file():
            logger.info("%s is finished already", folder)
            return folder
        config = _preprocessing_of(forecaster)
        shutil.rmtree(folder, ignore_errors=True)
        params = {"model": str(model), "session": data.reference, "rate": rate}
        _forecast(forecaster, params, config, folder, hashes)
    return folder


def _forecast(
    forecaster: Forecaster,
    params: dict[str, Any],
    config: Mapping[str, Any] | None,
    folder: Path,
    hashes: Mapping[str, str],
) -> None:
    from utils.evaluation import score_forecasts
    from utils.load_meso_session import open_session
    from utils.models.forecasting import write_predictions
    from utils.preprocessing import preprocess
    from utils.windows import load_windows

    started = time.monotonic()
    session_file = preprocess(open_session(params["session"], rate=params["rate"]), config)
    fitted = forecaster.fitted_on
    windows = load_windows(session_file, fitted.context, fitted.horizon)
    forecaster.check_data(windows)  # before anything is written
    result = RunFolder(folder)
    write_json(folder / "params.json", params)
    write_predictions(folder / "predictions.h5", forecaster, windows, progress=True)
    scores = score_forecasts(forecaster, windows)
    result.save_table(scores.to_frame(), "scores", f"Scores on the test block of {session_file}.")
    result.save_metrics({"session_file": session_file, **scores.summary()})
    seconds = round(time.monotonic() - started, 1)
    write_json(folder / "done.json", {"seconds": seconds, **code_version(), **hashes})


def _model_folder(run: Path) -> Path:
    """The saved model of a run given by path, or as ``<notebook>/<key>`` of the ledger."""
    for folder in (run, runs_dir() / run):
        if (folder / "model").is_dir():
            return (folder / "model").resolve()
        if (folder / "config.json").is_file():
            return folder.resolve()
    saved = sorted(
        str(path.parent.relative_to(runs_dir())) for path in runs_dir().glob("*/*/model")
    )
    known = f"runs with a model: {', '.join(saved)}" if saved else "no run has a saved model yet"
    raise FileNotFoundError(f"no saved model in '{run}'; {known}")


def _preprocessing_of(forecaster: Forecaster) -> Mapping[str, Any] | None:
    """The preprocessing of the session that the model was fitted on; None: the default one."""
    from utils.sessions.hdf5 import SessionFile

    wanted = forecaster.fitted_on.content_hash
    for path in sessions_dir().glob("session_*.h5"):
        file = SessionFile(path)
        if wanted and file.content_hash == wanted:
            return file.provenance.get("config")
    logger.warning(
        "the session file that this model was fitted on is not in %s; "
        "the default preprocessing is used",
        sessions_dir(),
    )
    return None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())
