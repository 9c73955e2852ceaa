"""The session browser in a real JupyterLab, driven by a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from utils.paths import PROJECT
from utils.simulation import preset_session

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NOTEBOOK = "1_ANALYSIS/1_4_inspect_session.ipynb"
PATIENCE = 180_000  # ms; only a broken notebook takes as long

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="no chromium on this machine (Debian: apt-get install chromium)",
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, data_home: Path) -> Iterator[str]:
    """Address of a private JupyterLab on loopback that serves a copy of the notebook."""
    preset_session("small")
    home = tmp_path_factory.mktemp("lab")
    served = home / "notebooks"
    (served / NOTEBOOK).parent.mkdir(parents=True)
    shutil.copy(PROJECT / NOTEBOOK, served / NOTEBOOK)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    private = {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    private["JUPYTERLAB_WORKSPACES_DIR"] = str(home / "workspaces")
    private["JUPYTERLAB_SETTINGS_DIR"] = str(home / "settings")
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    command += [
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--expose-app-in-browser",
    ]
    command += [f"--ServerApp.root_dir={served}"]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            command, env={**os.environ, **private}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, server, home / "log")
            yield address
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        assert server.poll() is None, f"JupyterLab ended:\n{log.read_text()[-3000:]}"
        try:
            with urlopen(f"{address}/api", timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()[-3000:]}")


def test_slider_moves_the_view_in_jupyterlab(lab: str, tmp_path: Path) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"),
            executable_path=CHROMIUM,
            args=FLAGS,
            viewport={"width": 1400, "height": 1200},
        )
        page = context.pages[0] if context.pages else context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{lab}/lab/tree/{NOTEBOOK}?reset")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        _run_all(page)
        state = page.locator(".widget-label", has_text="SessionBrowser(")
        expect(state).to_contain_text("rows 0-46, area order", timeout=PATIENCE)
        before = state.inner_text()
        slider = page.locator(".widget-slider", has_text="frame").get_by_role("slider")
        slider.focus()
        picture = page.locator(".widget-image").get_attribute("src")
        for _ in range(25):
            slider.press("ArrowRight")
        expect(state).not_to_have_text(before, timeout=PATIENCE)
        page.get_by_role("button", name="page ▶").press("Space")
        expect(page.locator(".widget-image")).not_to_have_attribute("src", picture)
        page.screenshot(path=tmp_path / "screenshot.png")  # to look at after a failure
        errors = page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']")
        assert errors.all_inner_texts() == []
        assert "Error" not in state.inner_text()
        context.close()


def _run_all(page) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
