"""What the daemon tells a prober on another machine: the answer of `GET /api/v1/probers/{name}/orders`, as JSON.

The prober asks with the number of the orders it has carried out (`after`) and of the daemon that gave them (`daemon`);
an answer waits until there is something to say. Leases come first: a prober begins to probe once it has heard them all.
"""

import msgspec


class Ask(msgspec.Struct, frozen=True):
    """Probe these now, `count` times each; worthless after `within_s`. `targets`: line_ids, or `element:PATH`, or
    `reference:NAME`; `kind` says which."""

    request_id: int
    kind: str
    targets: list[str]
    count: int
    within_s: float
    reason: str


class Lease(msgspec.Struct, frozen=True):
    """The addresses a line has now, "" for none."""

    line_id: str
    address: str = ""
    address6: str = ""


class Orders(msgspec.Struct, frozen=True):
    """`seq` is the next `after`. `leases_left`: more leases are waiting. `inventory`: the daemon's digest, with which
    row numbers are understood. `probers`: who shares the lines, as the daemon knows it."""

    daemon: str
    seq: int
    inventory: str
    probers: list[str]
    leases: list[Lease] = []
    leases_left: int = 0
    asks: list[Ask] = []


class Taken(msgspec.Struct, frozen=True):
    """The answer to `POST /api/v1/rounds`: rows taken, and rows that were not, by reason. `repeated`: this batch was
    taken before."""

    accepted: int
    repeated: bool = False
    refused: dict[str, int] = {}
