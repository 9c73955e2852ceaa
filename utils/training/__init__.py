"""One way to train: any task, one trainer, the same logs, checkpoints, seeds and devices."""

from utils.training.config import TrainerConfig, choose_device
from utils.training.fit import TrainingError, TrainingResult, fit_task, make_trainer, read_curves
from utils.training.loader import WindowLoader
from utils.training.task import ForecastTask, TrainingTask

__all__ = [
    "ForecastTask",
    "TrainerConfig",
    "TrainingError",
    "TrainingResult",
    "TrainingTask",
    "WindowLoader",
    "choose_device",
    "fit_task",
    "make_trainer",
    "read_curves",
]
