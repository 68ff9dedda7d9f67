"""Child processes of the laboratory: they die with their parent, also when it dies by SIGKILL.

A child is started through a small launcher that asks the kernel for SIGKILL on its parent's death
(PR_SET_PDEATHSIG), checks that the parent is still there, enters a network namespace if asked, and becomes the
command. Two traps decide the shape: the kernel ties that signal to the *thread* that forked, so one thread that never
ends does all the forking; and it is cleared when a process changes its user, so servers must not drop privileges.
Children get a session of their own: Ctrl-C in a terminal reaches the parent alone, which stops them in order.
"""

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO

# Runs in a fresh interpreter instead of preexec_fn, which may deadlock when the parent has threads.
_LAUNCHER = """
import ctypes, os, resource, signal, sys
parent, said, netns, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
libc = ctypes.CDLL(None, use_errno=True)
def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()) + ": " + what)
try:
    check(libc.prctl(1, signal.SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")
    if os.getppid() != parent:
        raise OSError("the parent is gone")
    if netns == "new":
        check(libc.unshare(0x40000000), "unshare(CLONE_NEWNET)")
    elif netns:
        fd = os.open(netns, os.O_RDONLY)
        check(libc.setns(fd, 0x40000000), "setns to " + netns)
        os.close(fd)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < wanted:  # a broker needs one a router
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    os.set_inheritable(said, False)
    os.execvp(command[0], command)
except OSError as error:
    os.write(said, str(error).encode())
    sys.exit(127)
"""


class LabError(RuntimeError):
    """Something of the laboratory could not be started or did not answer; the text says what to do."""


class Child:
    """A started process. `log` is where its output went (None: nowhere)."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]", log: Path | None) -> None:
        self.name = name
        self.log = log
        self._popen = popen

    @property
    def pid(self) -> int:
        return self._popen.pid

    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        return self._popen.poll()

    def wait(self, timeout_s: float) -> int | None:
        """The return code once it has ended, or None when it still runs after `timeout_s`."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Nothing happens when the process has ended already."""
        self._popen.send_signal(number)

    def stop(self, grace_s: float = 5.0) -> None:
        """SIGTERM, then SIGKILL after `grace_s`; returns when the process is gone and reaped."""
        if self._popen.poll() is not None:
            return
        self._popen.send_signal(signal.SIGTERM)
        self._popen.send_signal(signal.SIGCONT)  # a frozen process would not see the first
        try:
            self._popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone and reaped."""
        self._popen.kill()
        self._popen.wait()

    def log_tail(self, lines: int = 5) -> str:
        """The last lines of the log, joined by " | "."""
        if self.log is None or not self.log.exists():
            return ""
        text = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(text[-lines:])


class _Forker:
    """The one thread that forks. One per process: a forked copy of this process starts its own."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]]
        self._jobs = queue.SimpleQueue()
        threading.Thread(target=self._work, name="lab-forker", daemon=True).start()

    def _work(self) -> None:
        while True:
            job, done = self._jobs.get()
            try:
                done.set_result(job())
            except BaseException as error:
                done.set_exception(error)
            # The last result would otherwise live (and warn at its end) in this frame.
            del job, done

    def popen(self, job: Callable[[], "subprocess.Popen[bytes]"]) -> "subprocess.Popen[bytes]":
        done: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((job, done))
        return done.result()


_forker: _Forker | None = None
_forker_lock = threading.Lock()


def _the_forker() -> _Forker:
    global _forker
    with _forker_lock:
        if _forker is None or _forker.pid != os.getpid():
            _forker = _Forker()
        return _forker


def start(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | IO[bytes] | None = None,
    netns: str = "",
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start `command`; it dies with this process. `netns`: path of a network namespace to enter, or "new".

    `env` is added to this process's environment. Output goes to the end of `log`. Returns when the command runs, so
    that it is certain to die with us. Raises LabError when it cannot be run.
    """
    words = [str(word) for word in command]
    read, write = os.pipe()

    def popen() -> "subprocess.Popen[bytes]":
        with contextlib.ExitStack() as stack:
            out: int | IO[bytes] = stack.enter_context(log.open("ab")) if log else subprocess.DEVNULL
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(write), netns, *words],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                pass_fds=(write, *pass_fds),
                start_new_session=True,
            )

    with os.fdopen(read, "rb") as said:
        try:
            child = Child(name, _the_forker().popen(popen), log)
        finally:
            os.close(write)
        if wrong := said.read():  # ends when the launcher has become the command
            child.kill()
            raise LabError(f"{name}: cannot run {words[0]}: {wrong.decode()}")
    return child


def run(name: str, command: Sequence[str], text: str = "", *, netns: str = "", timeout_s: float = 10.0) -> str:
    """Run a command to its end with `text` as its input; returns what it said.

    Raises LabError with what it said when it fails or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="faultline-") as folder, tempfile.TemporaryFile() as stdin:
        stdin.write(text.encode())
        stdin.seek(0)
        child = start(name, command, log=Path(folder) / "log", netns=netns, stdin=stdin)
        try:
            code = child.wait(timeout_s)
        finally:
            child.kill()
        said = child.log_tail(1000)
        if code != 0:
            raise LabError(f"{name}: {command[0]} failed ({'too slow' if code is None else code}): {said}")
        return said


def free_port() -> int:
    """A port of 127.0.0.1 that is free for TCP and UDP just now (another process may still take it first)."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port
    raise LabError("no port of 127.0.0.1 is free for both TCP and UDP")


def wait_until(ready: Callable[[], bool], child: Child, what: str, timeout_s: float = 15.0) -> None:
    """Wait until `ready()`. Raises LabError with the end of the child's log if it ends first or takes too long."""
    deadline = time.monotonic() + timeout_s
    while True:
        if not child.running():
            raise LabError(f"{child.name} ended with {child.returncode} before {what}: {child.log_tail()}")
        if ready():
            return
        if time.monotonic() > deadline:
            raise LabError(f"{child.name}: {what} took more than {timeout_s:.0f} s: {child.log_tail()}")
        time.sleep(0.02)


def tcp_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts a TCP connection there."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False
