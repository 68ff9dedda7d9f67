"""Child processes: they start, say why they failed, stop, and never outlive their parent."""

import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from monitor.lab.process import LabError, free_port, start, wait_until
from tests.lab.helpers import alive, gone, kill, run_parent


def test_a_child_runs_logs_and_stops(tmp_path: Path) -> None:
    """Output goes to the log, stop ends it by SIGTERM and reaps it, and stopping again is harmless."""
    child = start("echo", ["sh", "-c", "echo hello; exec sleep 60"], log=tmp_path / "log")
    wait_until(lambda: "hello" in child.log_tail(), child, "it said hello")
    assert child.running()
    child.stop()
    assert child.returncode == -signal.SIGTERM
    assert not alive(child.pid)
    child.stop()


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the grace comes SIGKILL."""
    child = start("stubborn", ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"], log=tmp_path / "log")
    wait_until(lambda: "up" in child.log_tail(), child, "it was up")
    child.stop(grace_s=0.2)
    assert child.returncode == -signal.SIGKILL


def test_a_frozen_child_stops(tmp_path: Path) -> None:
    """stop() wakes a child that SIGSTOP holds, so that it can end in order."""
    child = start("frozen", ["sleep", "60"])
    child.send_signal(signal.SIGSTOP)
    child.stop()
    assert child.returncode == -signal.SIGTERM


def test_a_missing_program_is_named() -> None:
    """The error names the child and the program."""
    with pytest.raises(LabError, match=r"thing: cannot run no-such-program-here: .*No such file"):
        start("thing", ["no-such-program-here"])


def test_a_child_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """Waiting for a child that has ended raises at once, with the end of its log."""
    child = start("broken", ["sh", "-c", "echo bad setting >&2; exit 3"], log=tmp_path / "log")
    with pytest.raises(LabError, match=r"broken ended with 3 before it was ready: bad setting"):
        wait_until(lambda: False, child, "it was ready")


def test_waiting_ends(tmp_path: Path) -> None:
    """A child that runs but never gets ready is a LabError after the timeout."""
    child = start("slow", ["sleep", "60"])
    with pytest.raises(LabError, match="slow: getting ready took more than 0 s"):
        wait_until(lambda: False, child, "getting ready", timeout_s=0.1)
    child.kill()


def test_children_survive_the_thread_that_asked_for_them() -> None:
    """The kernel ties the death signal to the forking thread, which must not be the caller's."""
    children = []
    thread = threading.Thread(target=lambda: children.append(start("sleep", ["sleep", "60"])))
    thread.start()
    thread.join()
    with pytest.raises(subprocess.TimeoutExpired):
        children[0]._popen.wait(0.3)
    children[0].stop()


def test_children_die_with_a_parent_that_is_killed() -> None:
    """SIGKILL of the parent leaves neither the child nor the child's child, even where they are frozen."""
    inner = """
import os, sys, time
from monitor.lab.process import start
os.write(int(sys.argv[1]), str(start("inner", ["sleep", "60"]).pid).encode())
time.sleep(60)
"""
    outer = f"""
import os, sys, time
from monitor.lab.process import start
read, write = os.pipe()
child = start("outer", [sys.executable, "-c", {inner!r}, str(write)], pass_fds=[write])
frozen = start("frozen", ["sleep", "60"])
frozen.send_signal(19)
print(child.pid, int(os.read(read, 20)), frozen.pid, flush=True)
time.sleep(60)
"""
    parent = run_parent(outer)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 3
    assert all(alive(pid) for pid in pids)
    kill(parent)
    assert gone(pids)


def test_free_port_is_free_for_both_protocols() -> None:
    """The port can be bound for TCP and UDP."""
    port = free_port()
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as one:
            one.bind(("127.0.0.1", port))


def test_the_environment_is_added_to(tmp_path: Path) -> None:
    """`env` comes on top of this process's environment."""
    child = start("env", ["sh", "-c", "echo $EXTRA $HOME"], env={"EXTRA": "more"}, log=tmp_path / "log")
    child._popen.wait(10)
    assert child.log_tail() == f"more {os.environ.get('HOME', '')}".strip()
