"""The prober as the daemon's child on a system without sendmmsg, SOCK_SEQPACKET, memfd and PDEATHSIG."""

import os
import socket
import threading
import time
from typing import Any

import numpy as np
import pytest

from collectors.icmp import batch
from collectors.icmp.channel import Channel, Closed, pair
from collectors.icmp.messages import Finished, Ready, Slice, Start, Targets
from collectors.icmp.process import Prober

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need root")
COUNT = 300


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socketpair

    def socketpair(family: int, kind: int, *rest: Any) -> Any:
        if kind == socket.SOCK_SEQPACKET:
            raise OSError(43, "Protocol not supported")
        return real(family, kind, *rest)

    monkeypatch.setattr(socket, "socketpair", socketpair)
    monkeypatch.setattr(batch, "available", lambda: False)
    monkeypatch.delattr(os, "memfd_create", raising=False)


def start_message(**changes: Any) -> Start:
    """A round of 300 addresses a second."""
    values: dict[str, Any] = {
        "mode": "raw",
        "netns": "",
        "wire": "",
        "interval_s": 1.0,
        "timeout_s": 0.3,
        "probes": 1,
        "spacing_s": 0.1,
        "rate_pps": 5000.0,
        "reference_interval_s": 5.0,
        "reference_probes": 1,
        "extra_pps": 1000.0,
        "extra_spacing_s": 0.1,
        "source": "here",
        "round_id": 1,
    }
    return Start(**(values | changes))


def read_until_finished(channel: Channel, limit_s: float = 20) -> tuple[int, Finished]:
    """How many rows came with a reply until the first round's end."""
    answered, deadline = 0, time.monotonic() + limit_s
    while time.monotonic() < deadline:
        got = channel.receive()
        if got is None:
            time.sleep(0.01)
        elif isinstance(got[0], Slice):
            answered += int((got[1]["received"] > 0).sum())
        elif isinstance(got[0], Finished):
            return answered, got[0]
    raise AssertionError("no round ended")


@pytest.mark.usefixtures("elsewhere")
def test_a_round_comes_home_without_anything_of_linux() -> None:
    """Targets go in and a whole round comes back over datagrams, packet by packet; when the daemon's end closes, the
    prober ends."""
    ours, theirs = pair()
    assert ours.type == socket.SOCK_DGRAM
    ours.setblocking(False)
    theirs.setblocking(False)
    channel = Channel(ours)
    prober = Prober(Channel(theirs), start_message())

    def work() -> None:
        with pytest.raises(Closed):
            prober.run()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    low = np.arange(COUNT, dtype=np.uint64) + np.uint64(0x7F090001)
    columns = {"family": np.full(COUNT, 4, np.uint8), "high": np.zeros(COUNT, np.uint64), "low": low}
    channel.send(Targets(1, COUNT, 0.1), columns)
    answered, finished = read_until_finished(channel)
    assert answered == COUNT
    assert (finished.note.sent, finished.note.received, finished.note.uncertain) == (COUNT, COUNT, 0)
    channel.close()
    thread.join(20)
    assert not thread.is_alive()
    theirs.close()


@pytest.mark.usefixtures("elsewhere")
def test_a_prober_whose_parent_is_another_ends() -> None:
    """Where the kernel does not kill it with its daemon, the prober looks for itself and ends."""
    ours, theirs = pair()
    theirs.setblocking(False)
    Prober(Channel(theirs), start_message(), parent=os.getppid() + 1).run()
    got = Channel(ours).receive()
    assert got is not None
    assert isinstance(got[0], Ready)
    ours.close()
    theirs.close()
