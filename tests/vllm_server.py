"""vLLM's own OpenAI-compatible server in a process of its own, one for each checkpoint in a session of tests."""

from __future__ import annotations

import atexit
import functools
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PATIENCE = 300.0
"""Seconds until a server that does not answer is given up."""


@functools.cache
def vllm_server(folder: Path, name: str = "tiny") -> str:
    """The ``base_url`` of a server that has started; it ends with this process.

    Raises:
        RuntimeError: it ended or did not answer in time; the message holds the end of its log.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = Path(tempfile.mkdtemp(prefix="judgebench-vllm-")) / "server.log"
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder), "--served-model-name", name,
        "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager", "--max-model-len", "2048",
    ]  # fmt: skip
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT, env={**os.environ})
    atexit.register(_ended, process)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://127.0.0.1:{port}/health", timeout=5
            ):
                return f"http://127.0.0.1:{port}/v1"
        except OSError:
            time.sleep(0.5)
    _ended(process)
    raise RuntimeError(f"vLLM's server does not answer: {log.read_text(errors='replace')[-2000:]}")


def _ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
