"""Commands to a child process of the laboratory: JSON lines over a socket pair that is the child's standard input.

The parent calls `Controlled.call("op", name=value)` and gets the answer, or LabError with the child's words; the
child runs `serve({"op": handler})` and ends when the parent's end closes. One command at a time.
"""

import asyncio
import contextlib
import inspect
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.lab.process import Child, LabError, start

MAX_LINE = 256 * 1024 * 1024


class Controlled:
    """The parent's side of one child that runs a Python module of the laboratory."""

    def __init__(self, name: str, module: str, args: Sequence[str], log: Path, netns: str = "") -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                command = [sys.executable, "-m", module, *args]
                self.child: Child = start(name, command, log=log, netns=netns, stdin=theirs.fileno())
            except BaseException:
                ours.close()
                raise
        self._lock = threading.Lock()
        self._socket = ours
        self._answers = ours.makefile("rb")

    def call(self, op: str, timeout_s: float = 30.0, **values: Any) -> Any:
        """Raises LabError when the child refuses, has ended, or does not answer in time."""
        name = self.child.name
        with self._lock:
            try:
                self._socket.settimeout(timeout_s)
                self._socket.sendall(json.dumps({"op": op, **values}).encode() + b"\n")
                line = self._answers.readline()
            except TimeoutError:
                raise LabError(f"{name}: no answer to {op!r} within {timeout_s:.0f} s") from None
            except (OSError, ValueError):
                line = b""
        if not line:
            raise LabError(f"{name} has ended (it was asked to {op!r}): {self.child.log_tail()}")
        answer = json.loads(line)
        if "error" in answer:
            raise LabError(f"{name}: {op}: {answer['error']}")
        return answer["result"]

    def stop(self) -> None:
        self._answers.close()
        self._socket.close()
        self.child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


async def serve(handlers: Mapping[str, Callable[..., Any]]) -> None:
    """The child's side: run the handlers (plain or async functions of the command's values) until the parent leaves."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=0), limit=MAX_LINE)
    with contextlib.suppress(ConnectionError):
        while line := await reader.readline():
            values = json.loads(line)
            op = values.pop("op")
            try:
                result = handlers[op](**values)
                if inspect.isawaitable(result):
                    result = await result
                answer = {"result": result}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
