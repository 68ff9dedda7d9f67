"""The engine's memory as plain arrays: snapshot and restore, the view for others, and the move to another inventory.

Text is kept as UTF-8 JSON in uint8 arrays: no pickled objects. `FORMAT` changes when an older snapshot can no longer be
read; the caller then starts afresh and says so.
"""

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from correlation.lines import LineTable
from correlation.planned import Window
from correlation.view import EngineView
from monitor.inventory import Groups, Inventory
from monitor.records import Change, Flag, Incident, Scope, ScopeKind
from monitor.records.rounds import I32

if TYPE_CHECKING:
    from correlation.engine import Engine

FORMAT = 2
Arrays = dict[str, npt.NDArray[np.generic]]


class Memory(msgspec.Struct):
    """What is neither a column nor a case."""

    format: int
    lines: int
    elements: int
    now_ns: int
    stale_ns: int
    minute_ns: int
    nested_ns: int
    next_request: int
    windows: list[Window]
    failing: dict[str, tuple[int, int]]
    resolvers_down: dict[str, int]
    resolvers_up: dict[str, int]
    wills: list[tuple[int, int]]
    online: list[int]
    broker: str
    broker_trouble_ns: int
    broker_said: tuple[bool, int, int]
    history: dict[str, list[float]]
    event_ids: list[str]
    flags: list[Flag]
    slow: dict[str, float]
    joining: dict[int, dict[str, str]] = {}
    left_groups: list[tuple[int, int, str]] = []


def pack(engine: "Engine") -> Arrays:
    memory = Memory(
        format=FORMAT,
        lines=len(engine.table),
        elements=len(engine.inventory.elements),
        now_ns=engine.now_ns,
        stale_ns=engine.stale_ns,
        minute_ns=engine.minute_ns,
        nested_ns=engine.nested_ns,
        next_request=engine.requester.next_id,
        windows=engine.maintenance.windows,
        failing=engine.resolver.failing,
        resolvers_down=engine.resolver.since,
        resolvers_up=engine.resolver.up_ns,
        wills=engine.broker.wills,
        online=sorted(engine.broker.online),
        broker=engine.broker.source,
        broker_trouble_ns=engine.broker.trouble_ns,
        broker_said=(engine.broker.said, engine.broker.gone, engine.broker.spread_s),
        history=engine.book.repairs.history,
        event_ids=list(engine.intake.known_order),
        flags=list(engine.slow.flags.values()),
        slow=engine.slow.clock(),
        joining=engine.memberships.waiting,
        left_groups=list(engine.memberships.gone),
    )
    return {
        "memory": _bytes(msgspec.json.encode(memory, enc_hook=_plain)),
        "sources": _bytes(engine.sources.save()),
        "signs": _bytes(engine.signs.save()),
        "witnesses": _bytes(engine.witnesses.save()),
        **engine.inventory.groups.save(),
        **engine.table.save(),
        **engine.book.save(),
        **engine.background.save(),
        **engine.nodes.save(),
        **engine.finder.save(),
        **engine.slow.save(),
    }


def unpack(engine: "Engine", arrays: Arrays) -> None:
    """Raises ValueError when the snapshot does not fit."""
    try:
        memory = msgspec.json.decode(arrays["memory"].tobytes(), type=Memory)
    except (KeyError, msgspec.MsgspecError) as error:
        raise ValueError(f"the snapshot cannot be read: {error}") from None
    if memory.format != FORMAT:
        raise ValueError(f"the snapshot has format {memory.format}, this version reads {FORMAT}")
    if memory.lines != len(engine.inventory) or memory.elements != len(engine.inventory.elements):
        raise ValueError(
            f"the snapshot is of {memory.lines} lines and {memory.elements} elements, the inventory has "
            f"{len(engine.inventory)} and {len(engine.inventory.elements)}"
        )
    engine.inventory.groups.load(arrays)
    engine.sources.load(arrays["sources"].tobytes())
    engine.background.load(arrays)
    engine.nodes.load(arrays)
    engine.signs.load(arrays["signs"].tobytes())
    table = LineTable.load(arrays, len(engine.inventory))
    engine._build(engine.inventory, table, engine.background, engine.nodes, engine.signs)
    engine.book.load(arrays)
    engine.finder.load(arrays)
    engine.witnesses.load(arrays["witnesses"].tobytes())
    engine.witnesses.broker_in_doubt = memory.broker_trouble_ns > 0
    _remember(engine, memory)
    engine.slow.load(memory.flags, memory.slow, arrays)


def _remember(engine: "Engine", memory: Memory) -> None:
    engine.now_ns, engine.stale_ns, engine.minute_ns = memory.now_ns, memory.stale_ns, memory.minute_ns
    engine.nested_ns = memory.nested_ns
    engine.requester.next_id = memory.next_request
    engine.maintenance.windows = memory.windows
    engine.resolver.failing = memory.failing
    engine.resolver.since = memory.resolvers_down
    engine.resolver.up_ns = memory.resolvers_up
    engine.broker.wills = memory.wills
    engine.broker.online = set(memory.online)
    engine.broker.source = memory.broker
    engine.broker.trouble_ns = memory.broker_trouble_ns
    engine.broker.said, engine.broker.gone, engine.broker.spread_s = memory.broker_said
    engine.memberships.waiting = memory.joining
    engine.memberships.gone.extend(memory.left_groups)
    engine.book.repairs.load(memory.history)
    engine.intake.known_order.extend(memory.event_ids)
    engine.intake.known_ids.update(memory.event_ids)
    engine.slow.load(memory.flags, memory.slow)


def reload(engine: "Engine", inventory: Inventory) -> None:
    """Everything known moves by line_id and path; what is gone is forgotten."""
    older = engine.inventory
    to: I32 = older.remap(inventory)
    inventory = inventory.with_groups(_learned(older, inventory, to))
    elements = np.array([_index(inventory, p) for p in older.elements.paths], np.int32)
    memory = msgspec.json.decode(pack(engine)["memory"].tobytes(), type=Memory)
    book, finder, slow, witnesses = engine.book, engine.finder, engine.slow, engine.witnesses.save()
    table = engine.table.remap(to, len(inventory), engine.settings.evidence.reply_prior)
    engine.sources.remap(to)
    engine.signs.remap(to)
    engine._build(
        inventory,
        table,
        engine.background.remap(elements, len(inventory.elements)),
        engine.nodes.remap(elements, len(inventory.elements)),
        engine.signs,
    )
    memory.wills = [(at, int(to[i])) for at, i in memory.wills if to[i] >= 0]
    memory.online = [int(to[i]) for i in memory.online if to[i] >= 0]
    memory.joining = {int(to[i]): told for i, told in memory.joining.items() if to[i] >= 0}
    memory.left_groups = [(at, int(to[i]), name) for at, i, name in memory.left_groups if to[i] >= 0]
    gone = [f for f in memory.flags if not _knows_subject(inventory, f.subject)]
    memory.flags = [f for f in memory.flags if _knows_subject(inventory, f.subject)]
    _remember(engine, memory)
    engine.book.cases, engine.book.next_slot, engine.book.changes = book.cases, book.next_slot, book.changes
    for flag in gone:  # the next step tells it
        ended = msgspec.structs.replace(flag, ended_ns=max(engine.now_ns, flag.started_ns))
        engine.book.changes.append(Change(at_ns=engine.now_ns, what="flag_ended", flag=ended))
    engine.book.remap(to, lambda scope: _knows_scope(inventory, scope))
    engine.finder.remap(finder, to)
    engine.witnesses.load(witnesses)
    engine.slow.inherit(slow, to, elements)


def _learned(older: Inventory, inventory: Inventory, to: I32) -> Groups:
    """The new inventory's groups with what was learned; what a router said of itself does not go on to another one."""
    rows = older.groups.learned_rows()
    there = to[rows]
    rows, there = rows[there >= 0], there[there >= 0]
    before, now = older.texts["cpe_serial"], inventory.texts["cpe_serial"]
    groups = inventory.groups.as_filed()
    older.groups.carried(groups, to)
    for old, new in zip(rows.tolist(), there.tolist(), strict=True):
        if before[old] != now[new]:
            groups.forget(new, ("cpe", "firmware"))
    return groups


def _index(inventory: Inventory, path: str) -> int:
    found = inventory.elements.index_of(path)
    return -1 if found is None else found


def _knows_scope(inventory: Inventory, scope: Scope) -> bool:
    if scope.kind is ScopeKind.ELEMENT:
        return inventory.elements.index_of(scope.name) is not None
    if scope.kind is ScopeKind.GROUP and not scope.name.startswith("resolver:"):
        return inventory.groups.parts(scope.name) is not None
    return True


def _knows_subject(inventory: Inventory, subject: str) -> bool:
    if subject.startswith("element:"):
        return inventory.elements.index_of(subject.removeprefix("element:")) is not None
    return inventory.index_of(subject) is not None


def build_view(engine: "Engine") -> EngineView:
    table, book = engine.table, engine.book
    cases = [c for c in book.cases.values() if c.state.last is not None]
    cases.sort(key=lambda c: (-c.state.started_ns, c.state.incident_id))
    incidents: list[Incident] = []
    place = np.full(max(book.next_slot, 1) + 2, -1, np.int32)
    degraded: list[tuple[int, I32]] = []
    for case in cases:
        last: Any = case.state.last
        if case.living:
            down = int(book.still_down(case).size)
            last = msgspec.structs.replace(last, lines_down=down, calls=case.state.calls, etr=case.state.etr)
            place[case.state.slot] = len(incidents)
            if (table.slot[case.lines] != case.state.slot).any():
                degraded.append((len(incidents), case.lines))
        incidents.append(last)
    incident = place[table.slot]  # -1 and -2 reach the two spare places at the end
    for index, lines in reversed(degraded):
        if incidents[index].kind == "degraded":
            free = lines[incident[lines] < 0]
            incident[free] = index
    flags: dict[str, tuple[Flag, ...]] = {}
    for flag in engine.slow.flags.values():
        flags[flag.subject] = (*flags.get(flag.subject, ()), flag)
    return EngineView(
        at_ns=engine.now_ns,
        generation=engine.inventory.generation,
        state=table.state.copy(),
        since_ns=table.since_ns.copy(),
        probed_ns=table.probed_ns.copy(),
        replied_ns=table.replied_ns.copy(),
        rtt_ms=table.rtt_ms.copy(),
        baseline_ms=np.where(table.samples >= engine.settings.slow.warm_samples, table.baseline_ms, np.nan).astype(
            np.float32
        ),
        loss_ratio=table.loss.copy(),
        flaps_24h=table.flaps_24h(),
        incident=incident,
        incidents=tuple(incidents),
        flags=flags,
        signs=engine.signs.view(),
        blind={s.name: s.blind_ns for s in engine.sources.blind()},
        resolvers_down=dict(engine.resolver.since),
        round_interval_s=engine.sources.interval_s(),
    )


def _plain(number: object) -> object:
    """A numpy scalar that has slipped into a record, as Python's own number."""
    if isinstance(number, np.generic):
        return number.item()
    raise TypeError(f"{type(number).__name__} cannot be kept")


def _bytes(data: bytes) -> npt.NDArray[np.generic]:
    return np.frombuffer(data, np.uint8).copy()
