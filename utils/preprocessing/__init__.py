"""Preprocessing: one clock, dF/F, quality, scaling and covariates; a session file comes out."""

from utils.preprocessing.config import PreprocessConfig, resolve_config
from utils.preprocessing.pipeline import default_output, preprocess
from utils.preprocessing.validate import validate_session_file

__all__ = [
    "PreprocessConfig",
    "default_output",
    "preprocess",
    "resolve_config",
    "validate_session_file",
]
