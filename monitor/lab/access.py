"""What both access networks of the laboratory (namespaces and wire) can do to lines; faults are written against it."""

from collections.abc import Sequence
from typing import Protocol

from monitor.lab.responder import Shape


class AccessNetwork(Protocol):
    """Addresses are text, IPv4 or IPv6. Every call returns when it has taken effect; LabError when it cannot."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def fail(self, addresses: Sequence[str], for_s: float | None = None) -> None:
        """No answers from these; with `for_s` they heal by themselves."""
        ...

    def mend(self, addresses: Sequence[str]) -> None:
        """The opposite of `fail`; harmless for those that are well."""
        ...

    def fail_networks(self, networks: Sequence[str]) -> None:
        """No answers from whole prefixes, until `mend_all`."""
        ...

    def shape(self, addresses: Sequence[str], shape: Shape) -> None:
        """Delay, jitter, loss of single lines."""
        ...

    def unshape(self, addresses: Sequence[str]) -> None: ...

    def blind(self) -> None:
        """Cut the prober's own uplink: nothing answers, references included."""
        ...

    def see(self) -> None:
        """The opposite of `blind`."""
        ...

    def mend_all(self) -> None: ...
