"""From the settings of an experiment to its batches."""

from __future__ import annotations

from utils.datasets.vimh.audio import VIMHAudioModule
from utils.datasets.vimh.config import VIMHConfig
from utils.datasets.vimh.generate import generate_vimh
from utils.datasets.vimh.module import VIMHDataModule
from utils.datasets.vimh.read import read_vimh


def vimh_data(config: VIMHConfig, batch_size: int) -> VIMHDataModule:
    """Read or make a data set; its images, or its sounds, in batches."""
    if config.folder is not None:
        data = read_vimh(config.folder)
    else:
        data = generate_vimh(
            config.synthesiser,
            config.n_samples,
            sampling=config.sampling,
            seed=config.seed,
            shuffle=config.sampling == "grid",
        )
    module = VIMHAudioModule if config.inputs == "audio" else VIMHDataModule
    return module(
        data,
        batch_size=batch_size,
        validation_fraction=config.validation_fraction,
        auxiliary=config.auxiliary,
        seed=config.seed,
        num_workers=config.num_workers,
    )
