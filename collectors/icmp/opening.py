"""From settings to lanes: which sockets there are, and what is said when there are none."""

import errno

from collectors.icmp import batch
from collectors.icmp.batch import BatchTransport
from collectors.icmp.lane import Lane
from collectors.icmp.single import SingleTransport, WireTransport
from collectors.icmp.sockets import Mode, NotPermitted, enter_namespace, open_socket
from collectors.icmp.transport import Transport

NO_FAMILY = (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EADDRNOTAVAIL)


def open_lanes(mode: str, netns: str, wire: str, timeout_ns: int) -> tuple[dict[int, Lane], str]:
    """Lanes by family, and what they are in words. A system without IPv6 (or IPv4) has the other family only.

    Raises OSError whose text says what is wrong and what to do.
    """
    if wire:
        return {f: Lane(WireTransport(wire, f), timeout_ns) for f in (4, 6)}, f"simulated network at {wire}"
    if netns:
        enter_namespace(netns)
    lanes: dict[int, Lane] = {}
    words: list[str] = []
    refused: OSError | None = None
    chosen: Mode = "raw" if mode == "raw" else "datagram" if mode == "datagram" else "auto"
    for family in (4, 6):
        try:
            sock, raw = open_socket(family, chosen)
        except NotPermitted as error:
            refused = error
            continue
        except OSError as error:
            if error.errno not in NO_FAMILY:
                raise
            continue
        kind = BatchTransport if batch.available() else SingleTransport
        transport: Transport = kind(sock, family, raw)
        lanes[family] = Lane(transport, timeout_ns)
        words.append(f"IPv{family} {'raw' if raw else 'unprivileged'}")
    if not lanes:
        raise refused or OSError(errno.EAFNOSUPPORT, "this system has neither IPv4 nor IPv6")
    if refused and 4 not in lanes:
        raise refused
    return lanes, ", ".join(words)
