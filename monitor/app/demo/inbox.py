"""The demo's own receiver: a webhook on loopback that takes the daemon's alerts as a team's system would.

It checks the signature of every delivery, so that what the demo shows is what really arrived, and says each in a line.
"""

import hmac
import json
import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from alerts.receivers.webhook import signature
from monitor.clock import Clock

MOST_BYTES = 256 * 1024
SAID = 95  # characters of an alert on the screen


class Inbox:
    """Listens from the start. `count`: messages taken; `incidents`: those they were about."""

    def __init__(self, folder: Path, say: Callable[[str], None], clock: Clock) -> None:
        self.secret_file = folder / "alerts.secret"
        self._secret = secrets.token_hex(16)
        self.secret_file.write_text(self._secret)
        self.secret_file.chmod(0o600)
        self.count = 0
        self.refused = 0
        self.incidents: set[str] = set()
        self.zero_s: float | None = None
        self._say = say
        self._clock = clock
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                body = self.rfile.read(min(int(length), MOST_BYTES)) if length.isdigit() else b""
                taken = inbox.take(dict(self.headers.items()), body)
                self.send_response(204 if taken else 401)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    def take(self, headers: dict[str, str], body: bytes) -> bool:
        """Whether it was signed by the daemon; then it is counted and said."""
        at = headers.get("X-Faultline-Timestamp", "")
        if not hmac.compare_digest(signature(self._secret, at, body), headers.get("X-Faultline-Signature", "")):
            self.refused += 1
            return False
        alert = json.loads(body)
        self.count += 1
        self.incidents.add(alert["incident_id"])
        now_s = self._clock.now_ns() / 1e9
        passed = "" if self.zero_s is None else f"+{now_s - self.zero_s:4.0f} s  "
        clock = datetime.fromtimestamp(now_s).astimezone().strftime("%H:%M:%S")
        news = " ".join(alert["news"])
        text = f"{alert['title']}  {news}"
        self._say(f"{clock} {passed}{'ALERT':10} {text[:SAID]}")
        return True

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
