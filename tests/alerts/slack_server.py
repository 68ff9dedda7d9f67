"""A stand-in for Slack's Web API over real HTTP that refuses what Slack documents as refused.

It checks the token, JSON bodies, block types and limits, the known channel and ts; posts are counted per channel and
second. `script`: what to do instead with the next calls: a status, "hang", "close", "garbage", or a Slack error code.
"""

import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "xoxb-test-token"
CHANNEL = "C0123456789"
TEXT_LIMITS = {"header": 150, "section": 3000, "button": 75, "field": 2000}


class SlackServer:
    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}  # ts -> body, threads not among them
        self.threads: dict[str, list[dict[str, Any]]] = {}
        self.calls: list[tuple[float, str, str]] = []  # when, method, outcome
        self.script: deque[Any] = deque()
        self.retry_after = "2"
        self.posts = 0
        self._serial = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.released = threading.Event()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/api/"

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                method = self.path.rpartition("/")[2]
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                with server._lock:
                    planned = server.script.popleft() if server.script and method != "auth.test" else None
                if planned == "hang":
                    server.released.wait(30)
                    self.close_connection = True
                    return
                if planned == "close":
                    self.close_connection = True
                    return
                if planned == "garbage":
                    self._send(200, b"<html>not Slack</html>", "text/html")
                    return
                with server._lock:
                    status, answer = server._answer(method, self.headers, body, planned)
                    outcome = str(answer.get("error", "ok"))
                    server.calls.append((time.monotonic(), method, outcome))
                self._send(status, json.dumps(answer).encode(), "application/json", status == 429)

            def _send(self, status: int, body: bytes, kind: str, limited: bool = False) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                if limited:
                    self.send_header("Retry-After", server.retry_after)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def _answer(self, method: str, headers: Any, raw: bytes, planned: Any) -> tuple[int, dict[str, Any]]:
        if planned == 429:
            return 429, {"ok": False, "error": "ratelimited"}
        if isinstance(planned, int):
            return planned, {"ok": False, "error": "internal_error"}
        if isinstance(planned, str):
            return 200, {"ok": False, "error": planned}
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 200, {"ok": False, "error": "invalid_auth"}
        if method == "auth.test":
            return 200, {"ok": True, "user_id": "U1", "team_id": "T1"}
        if not headers.get("Content-Type", "").startswith("application/json"):
            return 200, {"ok": False, "error": "invalid_post_type"}
        body = json.loads(raw)
        if error := _wrong(body):
            return 200, {"ok": False, "error": error}
        if method == "chat.postMessage":
            return self._post(body)
        if method == "chat.update":
            return self._update(body)
        return 404, {"ok": False, "error": "unknown_method"}

    def _post(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body.get("channel") not in ("#noc", CHANNEL):
            return 200, {"ok": False, "error": "channel_not_found"}
        self.posts += 1
        self._serial += 1
        ts = f"1700000000.{self._serial:06d}"
        parent = body.get("thread_ts")
        if parent is None:
            self.messages[ts] = body
        elif parent in self.messages:
            self.threads.setdefault(parent, []).append(body)
        else:
            return 200, {"ok": False, "error": "thread_not_found"}
        return 200, {"ok": True, "channel": CHANNEL, "ts": ts}

    def _update(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body.get("channel") != CHANNEL:  # a name is not enough here
            return 200, {"ok": False, "error": "channel_not_found"}
        if body.get("ts") not in self.messages:
            return 200, {"ok": False, "error": "message_not_found"}
        self.messages[body["ts"]] = body
        return 200, {"ok": True, "channel": CHANNEL, "ts": body["ts"]}


def _wrong(body: dict[str, Any]) -> str:
    """The Slack error that this message earns, or nothing."""
    if len(json.dumps(body.get("blocks", []), ensure_ascii=False)) > 13_200 or len(body.get("text", "")) > 40_000:
        return "msg_too_long"
    if not body.get("text") and not body.get("blocks"):
        return "no_text"
    blocks = body.get("blocks") or []
    if len(blocks) > 50 or not all(_block_ok(block) for block in blocks):
        return "invalid_blocks"
    return ""


def _block_ok(block: dict[str, Any]) -> bool:
    kind = block.get("type")
    if kind == "header":
        return block["text"]["type"] == "plain_text" and _text_ok(block["text"], TEXT_LIMITS["header"])
    if kind == "section":
        fields = block.get("fields", [])
        if "text" in block and not _text_ok(block["text"], TEXT_LIMITS["section"]):
            return False
        return ("text" in block or len(fields) >= 1) and len(fields) <= 10 and all(_text_ok(f, 2000) for f in fields)
    if kind == "context":
        return 1 <= len(block["elements"]) <= 10 and all(_text_ok(e, 3000) for e in block["elements"])
    if kind == "actions":
        return all(
            e["type"] == "button" and _text_ok(e["text"], 75) and len(e.get("value", "")) <= 2000
            for e in block["elements"]
        )
    return kind == "divider"


def _text_ok(text: dict[str, Any], limit: int) -> bool:
    if text.get("type") not in ("plain_text", "mrkdwn") or ("emoji" in text and text["type"] == "mrkdwn"):
        return False
    return 1 <= len(text["text"]) <= limit and not any(ord(c) < 32 and c not in "\n\t" for c in text["text"])
