"""The access network as root: two unnamed network namespaces, the prober's and the provider's, joined by a veth pair.

The provider's kernel answers for all of 10.0.0.0/8, fd10::/16 and the reference addresses, so probes meet real ICMP.
nftables sets kill lines (5,000 in under 0.1 s); a TUN device answers for slow and lossy ones, as kernels without
netem delay nothing. The namespaces have no name: they last as long as the two children that stand in them, and those
die with this process. Give `prober_netns` to the ICMP prober. Needs iproute2 and nftables.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from monitor.lab.control import Controlled
from monitor.lab.process import Child, LabError, run, start
from monitor.lab.responder import Shape
from monitor.lab.servers import require

LINES4, LINES6 = "10.0.0.0/8", "fd10::/16"
PROBER4, PROVIDER4 = "192.168.77.1", "192.168.77.2"
PROBER6, PROVIDER6 = "fd77::1", "fd77::2"


def unavailable() -> str:
    """Why there can be no namespaces here, or ""."""
    if not sys.platform.startswith("linux"):
        return "network namespaces need Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        require("ip", "iproute2")
        require("nft", "nftables")
        run("netns-check", ["true"], netns="new")
    except LabError as error:
        return str(error)
    if not Path("/dev/net/tun").exists():
        return "/dev/net/tun is missing: slow lines need it"
    return ""


class Network:
    """See AccessNetwork. `references`: further addresses, IPv4 or IPv6, that the provider's side answers for."""

    def __init__(self, folder: Path, references: Sequence[str] = (), seed: int = 1) -> None:
        self.folder = folder
        self.references = tuple(references)
        self.seed = seed
        self._prober: Child | None = None
        self._provider: Controlled | None = None

    @property
    def prober_netns(self) -> str:
        """The prober's namespace as a path."""
        return f"/proc/{self._prober_side().pid}/ns/net"

    @property
    def provider_netns(self) -> str:
        return f"/proc/{self._provider_side().child.pid}/ns/net"

    @property
    def pids(self) -> tuple[int, int]:
        """The processes that hold the namespaces."""
        return self._prober_side().pid, self._provider_side().child.pid

    def start(self) -> None:
        """Raises LabError when there can be no namespaces here."""
        if wrong := unavailable():
            raise LabError(wrong)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._prober = start("prober-netns", ["sleep", "infinity"], netns="new")
            self._provider = Controlled(
                "provider-netns",
                "monitor.lab.network_side",
                ["--seed", str(self.seed)],
                self.folder / "network.log",
                netns="new",
            )
            self._provider.call("ready")
            run("provider links", ["ip", "-batch", "-"], self._provider_links(), netns=self.provider_netns)
            run("prober links", ["ip", "-batch", "-"], _PROBER_LINKS, netns=self.prober_netns)
            self._provider.call("set_up")
            # Unprivileged ping sockets work in there, too.
            self._set(self.prober_netns, "ipv4/ping_group_range", "0 2147483647")
            for family in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):  # towards the TUN device
                self._set(self.provider_netns, family, "1")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._provider is not None:
            self._provider.stop()
        if self._prober is not None:
            self._prober.stop()
        self._provider = self._prober = None

    def run_as_prober(self, command: Sequence[str]) -> str:
        """Run a command in the prober's namespace; returns its output. Raises LabError when it fails."""
        return run(command[0], command, netns=self.prober_netns)

    def fail(self, addresses: Sequence[str], for_s: float | None = None) -> None:
        self._provider_side().call("fail", addresses=list(addresses), for_s=for_s)

    def mend(self, addresses: Sequence[str]) -> None:
        self._provider_side().call("mend", addresses=list(addresses))

    def fail_networks(self, networks: Sequence[str]) -> None:
        self._provider_side().call("fail_networks", networks=list(networks))

    def lose(self, addresses: Sequence[str], percent: int) -> None:
        """Independent loss for many lines at once, by nftables: a multiple of 5, from 5 to 95; 0 ends it."""
        self._provider_side().call("lose", addresses=list(addresses), percent=percent)

    def shape(self, addresses: Sequence[str], shape: Shape) -> None:
        self._provider_side().call(
            "shape",
            addresses=list(addresses),
            delay_ms=shape.delay_ms,
            jitter_ms=shape.jitter_ms,
            loss_ratio=shape.loss_ratio,
            burst=shape.burst,
        )

    def unshape(self, addresses: Sequence[str]) -> None:
        self._provider_side().call("unshape", addresses=list(addresses))

    def blind(self) -> None:
        self._provider_side().call("blind", on=True)

    def see(self) -> None:
        self._provider_side().call("blind", on=False)

    def mend_all(self) -> None:
        self._provider_side().call("mend_all")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _prober_side(self) -> Child:
        if self._prober is None:
            raise LabError("the network is not running: start() it first")
        return self._prober

    def _provider_side(self) -> Controlled:
        if self._provider is None:
            raise LabError("the network is not running: start() it first")
        return self._provider

    @staticmethod
    def _set(netns: str, name: str, value: str) -> None:
        run(name, ["tee", f"/proc/sys/net/{name}"], value, netns=netns)

    def _provider_links(self) -> str:
        lines = [
            f"link add pv1 type veth peer name pv0 netns {self._prober_side().pid}",
            "link set lo up",
            "link set pv1 up",
            f"addr add {PROVIDER4}/30 dev pv1",
            f"addr add {PROVIDER6}/64 dev pv1 nodad",
            f"route add local {LINES4} dev lo",
            f"route add local {LINES6} dev lo",
        ]
        lines += [f"addr add {a} dev lo{' nodad' if ':' in a else ''}" for a in self.references]
        return "\n".join(lines) + "\n"


_PROBER_LINKS = f"""\
link set lo up
link set pv0 up
addr add {PROBER4}/30 dev pv0
addr add {PROBER6}/64 dev pv0 nodad
route add default via {PROVIDER4}
route add default via {PROVIDER6}
"""
