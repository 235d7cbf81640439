"""Start `ocd api` in a home of its own, write a page of it to standard output, stop everything: .ci/scrape.py PAGE …"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

PATIENCE_S = 60


def main(pages: list[str]) -> None:
    """Print the pages one after another."""
    with tempfile.TemporaryDirectory(prefix="ocd-scrape-") as folder:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("OCD_")}
        environment = kept | {"OCD_HOME": str(Path(folder) / ".ocd")}
        port = free_port()
        command = [sys.executable, "-m", "tasks.cli", "api", "--port", str(port)]
        with subprocess.Popen(command, env=environment) as process:
            try:
                for page in pages:
                    sys.stdout.write(read(f"http://127.0.0.1:{port}{page}"))
            finally:
                process.terminate()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read(url: str) -> str:
    """Return the page, waiting until somebody serves it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return httpx.get(url, timeout=20).raise_for_status().text
        except httpx.ConnectError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main(sys.argv[1:])
