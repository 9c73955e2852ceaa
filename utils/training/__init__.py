"""One way to train: any task, one trainer, the same logs, checkpoints, seeds and devices."""

from utils.training.config import TrainerConfig, choose_device
from utils.training.fit import TrainingError, TrainingResult, fit_task, make_trainer, read_curves
from utils.training.task import ForecastTask, SessionsTask, TrainingTask, past_covariates

__all__ = [
    "ForecastTask",
    "SessionsTask",
    "TrainerConfig",
    "TrainingError",
    "TrainingResult",
    "TrainingTask",
    "choose_device",
    "fit_task",
    "make_trainer",
    "past_covariates",
    "read_curves",
]
