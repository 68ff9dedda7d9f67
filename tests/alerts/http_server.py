"""An HTTP server on loopback that keeps what it is sent, and misbehaves as it is told."""

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Taken(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class HttpServer:
    """`script`: what to do with the next requests instead of taking them: a status, "hang" or "close".
    `headers`: added to every answer."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.refused: list[Taken] = []
        self.script: deque[int | str] = deque()
        self.headers: dict[str, str] = {}
        self._released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                headers = {name.lower(): value for name, value in self.headers.items()}
                one = Taken(self.command, self.path, headers, self.rfile.read(length))
                planned = server.script.popleft() if server.script else 200
                (server.taken if planned == 200 else server.refused).append(one)
                if isinstance(planned, str):
                    if planned == "hang":
                        server._released.wait(30)
                    self.close_connection = True
                    return
                self.send_response(planned)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_GET = do_POST  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
