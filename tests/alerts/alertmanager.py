"""Debian's prometheus-alertmanager as a process on free ports, with its data in the test's folder."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

CONFIG = """\
route: {receiver: nobody, group_wait: 1s}
receivers: [{name: nobody}]
"""


class Alertmanager:
    def __init__(self, folder: Path) -> None:
        program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        if program is None:
            pytest.skip("prometheus-alertmanager is not installed (make test installs it)")
        self.port = _free_port()
        (folder / "alertmanager.yml").write_text(CONFIG)
        command = [program, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'am'}"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="]
        self._log = (folder / "alertmanager.log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        for _ in range(300):
            try:
                self._get("/-/ready")
                return
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
        self.close()
        raise RuntimeError((folder / "alertmanager.log").read_text()[-2000:])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seen(self) -> list[dict[str, Any]]:
        """Alerts it takes for firing."""
        found: list[dict[str, Any]] = json.loads(self._get("/api/v2/alerts"))
        return found

    def ever(self) -> list[str]:
        """Incidents it has heard of, over or not: it counts what it was sent."""
        firing = {alert["labels"]["incident_id"] for alert in self.seen()}
        metrics = self._get("/metrics").decode().splitlines()
        sent = sum(float(line.split()[-1]) for line in metrics if line.startswith("alertmanager_alerts_received_total"))
        return sorted(firing) or (["over"] if sent else [])

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._log.close()

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as answer:
            body: bytes = answer.read()
            return body


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
