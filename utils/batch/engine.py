"""Where runs are executed: Dask on this machine, on a Slurm cluster, or on a given scheduler.

Each worker executes one notebook at a time. A killed worker is replaced and its run repeated.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import dask
from dask.system import CPU_COUNT
from distributed import Client, Nanny, Scheduler, SpecCluster
from distributed.deploy.cluster import Cluster

from utils.config import Config, ConfigError

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
LOOPBACK = "127.0.0.1:0"  # Dask's status pages: any free port, seen from this machine only
MAX_LOCAL_WORKERS = 4  # each may hold a session in memory; --workers asks for more


class Engine(Config):
    """How many workers there are, and where.

    ``slurm`` holds options of ``dask_jobqueue.SLURMCluster``, for example
    ``{"queue": "gpu", "memory": "32GB", "job_extra_directives": ["--gres=gpu:1"]}``.
    """

    cluster: Literal["local", "slurm"] = "local"
    workers: int | None = None
    scheduler: str | None = None
    slurm: dict[str, Any] = {}


@contextmanager
def dask_client(engine: Engine) -> Iterator[Client]:
    """A Dask client; what was started for it is stopped at the end of the block."""
    if engine.scheduler is not None:
        with _connected(engine.scheduler) as client:
            yield client
        return
    if engine.workers is not None and engine.workers < 1:
        raise ConfigError(f"workers = {engine.workers}: expected at least 1")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 2}),
        _slurm_cluster(engine) if engine.cluster == "slurm" else _local_cluster(engine) as cluster,
        Client(cluster) as client,
    ):
        yield client


def gpu_resources(client: Client, wanted: bool) -> dict[str, int] | None:
    """The resources of a run that wants a GPU, None where no worker has one."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    has_gpu = any(worker["resources"].get("GPU") for worker in workers)
    return {"GPU": 1} if wanted and has_gpu else None


def visible_gpus() -> list[str]:
    """Ids of the NVIDIA GPUs that this process may use."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [gpu for gpu in allowed.split(",") if gpu]
    if shutil.which("nvidia-smi") is None:
        return []
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    return [str(i) for i, line in enumerate(listing.splitlines()) if line.startswith("GPU ")]


def _connected(address: str) -> Client:
    try:
        return Client(address, timeout="20s")
    except (OSError, ValueError) as error:
        raise ConfigError(f"no Dask scheduler answers at '{address}': {error}") from None


def _local_cluster(engine: Engine) -> Cluster:
    """One process per worker; cores are divided among them, each GPU belongs to one of them.

    Dask's own LocalCluster gives all workers the same environment, hence SpecCluster.
    """
    cores, gpus = CPU_COUNT, visible_gpus()
    count = engine.workers or min(cores, MAX_LOCAL_WORKERS)
    shared = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "host": "127.0.0.1"}
    shared["silence_logs"] = logging.ERROR
    workers = {}
    for i in range(count):
        env = {name: str(max(1, cores // count)) for name in THREAD_VARIABLES}
        env["CUDA_VISIBLE_DEVICES"] = gpus[i] if i < len(gpus) else ""
        resources = {"GPU": 1} if i < len(gpus) else {}
        options = {**shared, "env": env, "resources": resources}
        workers[i] = {"cls": Nanny, "options": options}
    options = {"dashboard": False, "host": "127.0.0.1", "port": 0, "dashboard_address": LOOPBACK}
    scheduler = {"cls": Scheduler, "options": options}
    return SpecCluster(workers=workers, scheduler=scheduler, silence_logs=logging.ERROR)


def _slurm_cluster(engine: Engine) -> Cluster:
    """Jobs of one worker each, as many as there is work for, replaced when they are killed."""
    from dask_jobqueue import SLURMCluster

    threads = [f"export {name}=${{SLURM_CPUS_PER_TASK:-1}}" for name in THREAD_VARIABLES]
    defaults = {"cores": 2, "memory": "16GB", "walltime": "04:00:00"}
    status_pages = {"dashboard_address": LOOPBACK}
    options = {**defaults, "scheduler_options": status_pages, **engine.slurm}
    cluster = SLURMCluster(
        processes=1,
        worker_extra_args=["--nthreads 1", *options.pop("worker_extra_args", [])],
        job_script_prologue=[*threads, *options.pop("job_script_prologue", [])],
        **options,
    )
    cluster.adapt(minimum=1, maximum=engine.workers or 8)
    return cluster
