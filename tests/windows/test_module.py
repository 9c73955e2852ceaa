"""Lightning data module: reproducible, resumable, every window once."""

from __future__ import annotations

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from utils.windows import WindowData, WindowDataModule, WindowLoader, window_data


@pytest.fixture
def data() -> WindowData:
    rng = np.random.default_rng(0)
    activity = rng.standard_normal((600, 3)).astype(np.float32)
    return window_data(activity, np.arange(600) / 5.0, context=6, horizon=2)


def starts_of(loader: WindowLoader) -> list[int]:
    return torch.cat([batch.starts for batch in loader]).tolist()


def test_a_pass_serves_every_window_once_and_the_last_batch_is_small(data):
    loader = WindowLoader(data.train, 50, shuffle=True)
    batches = list(loader)
    assert len(batches) == len(loader) == -(-len(data.train) // 50)
    assert len(batches[-1]) == len(data.train) % 50
    served = torch.cat([batch.starts for batch in batches])
    assert served.tolist() != data.train.starts.tolist()
    assert sorted(served.tolist()) == data.train.starts.tolist()


def test_order_depends_on_seed_and_epoch_alone(data):
    def first_two(seed):
        loader = WindowLoader(data.train, 32, shuffle=True, seed=seed)
        return starts_of(loader), starts_of(loader)

    epoch_0, epoch_1 = first_two(seed=3)
    assert first_two(seed=3) == (epoch_0, epoch_1)
    assert epoch_0 != epoch_1
    assert first_two(seed=4)[0] not in (epoch_0, epoch_1)
    resumed = WindowLoader(data.train, 32, shuffle=True, seed=3)
    resumed.set_epoch(1)
    assert starts_of(resumed) == epoch_1


def test_order_does_not_depend_on_the_global_random_state(data):
    torch.manual_seed(1)
    first = starts_of(WindowLoader(data.train, 32, shuffle=True))
    torch.manual_seed(2)
    assert starts_of(WindowLoader(data.train, 32, shuffle=True)) == first


def test_processes_share_the_windows_without_overlap(data):
    parts = [
        starts_of(WindowLoader(data.train, 16, shuffle=True, rank=rank, world_size=2))
        for rank in range(2)
    ]
    assert len(parts[0]) == len(parts[1]) == len(data.train) // 2
    assert not set(parts[0]) & set(parts[1])


def test_stride_thins_the_windows(data):
    loader = WindowLoader(data.test, 7, stride=5)
    assert starts_of(loader) == data.test.starts[::5].tolist()
    assert len(loader) == len(list(loader))


@pytest.mark.parametrize(("batch_size", "stride"), [(0, 1), (4, 0)])
def test_sizes_below_one_are_refused(data, batch_size, stride):
    with pytest.raises(ValueError, match=r"must be >= 1"):
        WindowLoader(data.train, batch_size, stride=stride)


def test_module_outside_a_trainer(data):
    module = WindowDataModule(data, batch_size=20, seed=1, stride=2, validation_stride=3)
    assert sorted(starts_of(module.train_dataloader())) == data.train.starts[::2].tolist()
    assert starts_of(module.val_dataloader()) == data.validation.starts[::3].tolist()
    assert starts_of(module.test_dataloader()) == data.test.starts.tolist()
    assert starts_of(module.predict_dataloader()) == data.test.starts.tolist()


class Recorder(lightning.LightningModule):
    """A model of one weight that notes which windows it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: list[list[int]] = []

    def on_train_epoch_start(self) -> None:
        self.seen.append([])

    def training_step(self, batch, index):
        self.seen[-1] += batch.starts.tolist()
        return self.layer(batch.past[:, :1, :1]).square().mean()

    def validation_step(self, batch, index):
        self.log("loss", batch.past.square().mean(), batch_size=len(batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def trainer(tmp_path, epochs: int) -> lightning.Trainer:
    return lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[ModelCheckpoint(tmp_path, filename="last", enable_version_counter=False)],
    )


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning", "ignore:.*exists and is not empty")
def test_resumed_training_sees_the_batches_it_would_have_seen(data, tmp_path):
    whole = Recorder()
    trainer(tmp_path / "whole", 3).fit(whole, WindowDataModule(data, 64, seed=5))
    assert whole.seen[0] != whole.seen[1]

    trainer(tmp_path / "part", 2).fit(Recorder(), WindowDataModule(data, 64, seed=5))
    resumed = Recorder()
    trainer(tmp_path / "part", 3).fit(
        resumed, WindowDataModule(data, 64, seed=5), ckpt_path=tmp_path / "part" / "last.ckpt"
    )
    assert resumed.seen == [whole.seen[2]]
