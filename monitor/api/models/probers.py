"""Probers on other machines (collectors.remote.orders says what the fields mean)."""

from monitor.api.models.base import Output


class RoundsOut(Output):
    accepted: int
    repeated: bool
    refused: dict[str, int]


class LeaseOut(Output):
    line_id: str
    address: str
    address6: str


class AskOut(Output):
    request_id: int
    kind: str
    targets: list[str]
    count: int
    within_s: float
    reason: str


class OrdersOut(Output):
    daemon: str
    seq: int
    inventory: str
    probers: list[str]
    leases: list[LeaseOut]
    leases_left: int
    asks: list[AskOut]
