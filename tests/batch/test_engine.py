"""Workers share the cores; GPUs are given out one each; clusters get valid job scripts."""

import os

import pytest
from distributed import Client
from pydantic import ValidationError

from utils.batch import engine
from utils.batch.engine import Engine, dask_client, gpu_resources, visible_gpus
from utils.config import ConfigError


def test_cores_are_divided_and_each_gpu_has_one_worker(monkeypatch):
    monkeypatch.setattr(engine, "CPU_COUNT", 6)
    monkeypatch.setattr(engine, "visible_gpus", lambda: ["3"])
    with dask_client(Engine(workers=2)) as client:
        client.wait_for_workers(2)
        assert list(client.run(os.getenv, "OMP_NUM_THREADS").values()) == ["3", "3"]
        assert sorted(client.run(os.getenv, "CUDA_VISIBLE_DEVICES").values()) == ["", "3"]
        assert gpu_resources(client, wanted=False) is None
        resources = gpu_resources(client, wanted=True)
        assert resources == {"GPU": 1}
        on_gpu = client.submit(os.getenv, "CUDA_VISIBLE_DEVICES", resources=resources)
        assert on_gpu.result(timeout=30) == "3"


def test_a_gpu_is_not_waited_for_where_there_is_none(client):
    has_gpu = bool(visible_gpus())
    assert gpu_resources(client, wanted=True) == ({"GPU": 1} if has_gpu else None)


def test_visible_gpus_follow_the_environment(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert visible_gpus() == ["2", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    assert visible_gpus() == []


def test_a_running_scheduler_is_used_and_left_running(client):
    address = client.scheduler.address
    with dask_client(Engine(scheduler=address)) as other:
        assert other.submit(pow, 2, 5).result(timeout=30) == 32
    assert client.submit(pow, 2, 6).result(timeout=30) == 64


def test_mistakes_are_explained():
    with pytest.raises(ConfigError, match="workers = 0"), dask_client(Engine(workers=0)):
        pass
    with pytest.raises(ValidationError):
        Engine(cluster="sge")


def test_an_absent_scheduler_is_explained(monkeypatch):
    def refuse(address: str, timeout: str) -> Client:
        raise OSError("timed out")

    monkeypatch.setattr(engine, "Client", refuse)
    with (
        pytest.raises(ConfigError, match="no Dask scheduler answers at 'tcp://nowhere:1'"),
        dask_client(Engine(scheduler="tcp://nowhere:1")),
    ):
        pass


def test_slurm_jobs_hold_one_worker_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"queue": "gpu", "memory": "8GB", "job_extra_directives": ["--gres=gpu:1"]}
    options["worker_extra_args"] = ["--resources GPU=1"]
    monkeypatch.setattr("dask_jobqueue.SLURMCluster.adapt", lambda *args, **kwargs: None)
    with engine._slurm_cluster(Engine(cluster="slurm", slurm=options)) as cluster:
        script = cluster.job_script()
    for line in ("#SBATCH -p gpu", "#SBATCH --gres=gpu:1", "export OMP_NUM_THREADS="):
        assert line in script
    assert "--nthreads 1" in script
    assert "--resources GPU=1" in script
