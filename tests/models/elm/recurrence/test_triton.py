"""The GPU kernels give what the reference gives, compile, and are chosen where they can run."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.testing import assert_close

from utils.models.elm import recurrence
from utils.models.elm.recurrence import reference
from utils.paths import PROJECT

CASES = Path(__file__).with_name("triton_cases.py")
needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="triton, which is made for Linux, is not installed"
)


def run_cases(**variables: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)]
    environment = os.environ | variables
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_triton
def test_kernels_in_the_interpreter():
    run_cases(TRITON_INTERPRET="1")  # which must be set before anything imports triton


@needs_triton
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_kernels_on_a_gpu():
    run_cases(TRITON_INTERPRET="0")


@needs_triton
@pytest.mark.parametrize(
    ("sizes", "dtype"),
    [
        ((20, 40, 1), torch.float32),
        ((50, 100, 1), torch.float32),
        ((100, 200, 1), torch.float32),
        ((20, 20, 0), torch.float32),
        ((15, 30, 3), torch.float32),
        ((15, 30, 1), torch.float64),
    ],
    ids=str,
)
def test_memory_kernels_compile_and_hold_the_weights(sizes, dtype, tmp_path, monkeypatch):
    from utils.models.elm.recurrence import triton_backend, triton_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    n_memory, n_hidden, depth = sizes
    recurrent = torch.empty(n_hidden, n_memory, dtype=dtype)
    settings = triton_backend._settings("silu", recurrent, depth)
    forward, backward = triton_kernels.memory_kernel, triton_kernels.memory_gradient_kernel
    assert spilled_bytes(forward, dtype, tmp_path, KEPT=True, **settings) == 0
    assert spilled_bytes(backward, dtype, tmp_path, **settings) == 0


@needs_triton
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_filter_kernel_compiles(dtype, tmp_path, monkeypatch):
    from utils.models.elm.recurrence import triton_backend, triton_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    blocks = {"FRAMES": triton_backend.FRAMES, "CHANNELS": triton_backend.CHANNELS}
    for backwards in (False, True):
        settings = {"BACKWARDS": backwards, **blocks, **triton_backend.COMPILER}
        assert spilled_bytes(triton_kernels.filter_kernel, dtype, tmp_path, **settings) == 0


def spilled_bytes(kernel, dtype: torch.dtype, folder: Path, **settings) -> int:
    """Compile for an H100, which need not be there: bytes without room in the registers."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    constants = {name: settings.pop(name) for name in kernel.arg_names if name in settings}
    pointer = {torch.float32: "*fp32", torch.float64: "*fp64"}[dtype]
    signature = {
        name: "constexpr" if name in constants else "i32" if name.startswith("n_") else pointer
        for name in kernel.arg_names
    }
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, type_ in enumerate(signature.values())
        if type_ == pointer
    }
    source = ASTSource(kernel, signature, constants, aligned)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=settings)
    binary = folder / "kernel.cubin"
    binary.write_bytes(compiled.asm["cubin"])
    command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", binary]
    usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(re.search(r"STACK:(\d+)", usage)[1])


@pytest.fixture
def fresh_choice(monkeypatch):
    """Backends are imported, and reasons logged, as if for the first time."""
    name = "utils.models.elm.recurrence.triton_backend"
    monkeypatch.delitem(sys.modules, name, raising=False)
    for cached in (recurrence._fast_backend, recurrence._log_once):
        cached.cache_clear()
    yield
    recurrence._fast_backend.cache_clear()


def arguments():
    return torch.randn(2, 5, 3), torch.rand(3), torch.randn(2, 3)


@needs_triton
def test_tensors_on_a_cpu_go_to_the_reference_with_one_line(fresh_choice, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(2):
        tensors = arguments()
        filtered = recurrence.filter_dense(*tensors, backend="triton")
        assert_close(filtered, reference.filter_dense(*tensors), rtol=0, atol=0)
    assert [record.getMessage() for record in caplog.records] == [
        "filter_dense: backend 'triton' takes tensors of one cuda device only; "
        "the reference in PyTorch is used"
    ]


def test_without_triton_the_reference_is_used(fresh_choice, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setitem(sys.modules, "triton", None)
    tensors = arguments()
    filtered = recurrence.filter_dense(*tensors, backend="triton")
    assert_close(filtered, reference.filter_dense(*tensors), rtol=0, atol=0)
    assert "backend 'triton' cannot be imported" in caplog.text


@needs_triton
def test_on_a_gpu_the_kernels_are_chosen_unless_they_cannot_be_launched(fresh_choice, monkeypatch):
    module, _ = recurrence._fast_backend("triton")
    with FakeTensorMode():
        tensors = [torch.empty(shape, device="cuda") for shape in ((2, 5, 3), (3,), (2, 3))]
    monkeypatch.setattr(module, "_failure", lambda device: None)
    assert recurrence._choose("filter_dense", "auto", *tensors) is module
    monkeypatch.setattr(module, "_failure", lambda device: "cannot launch its kernels here")
    assert recurrence._choose("filter_dense", "auto", *tensors) is reference
