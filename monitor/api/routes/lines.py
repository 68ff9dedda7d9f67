"""One line or element: state, evidence, history, coverage, and the probe on request."""

from typing import Annotated

import numpy as np
from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from correlation.view import EngineView
from monitor.api import models as m
from monitor.api import present
from monitor.api.context import POLLED, Api, answer, polled, problems
from monitor.api.granted import Probes, ReadsLines
from monitor.api.problems import Problem
from monitor.api.reach import Reach
from monitor.clock import NS, rfc3339
from monitor.desk import judge_line
from monitor.inventory import Inventory
from monitor.records import IncidentStatus, LineState, ScopeKind

DAY_H = 24.0
CHILDREN = 500  # of one element, in one answer


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["lines"])
    services = api.services

    @router.get("/lines/{line_id}", response_model=m.LineOut, responses=problems(404))
    async def line(line_id: str, request: Request, who: ReadsLines) -> Response:
        """State, evidence and verdict of one line, and its incidents of the last 30 days."""
        row = api.row_of(line_id, who)
        view, inventory, bindings = services.view(), services.inventory(), services.bindings()
        now_ns = services.clock.now_ns()
        verdict = judge_line(row, view, inventory, bindings, now_ns)
        api.note(request, who, "line", line_id)
        recent = await to_thread.run_sync(services.state.incidents_of_line, line_id, now_ns - 30 * 86400 * NS, 20)
        if view.generation != inventory.generation:
            view = EngineView.empty(len(inventory), view.at_ns, inventory.generation)
        incident = view.incident_of(row)
        same = bindings.inventory.generation == inventory.generation
        return answer(
            {
                "line": present.card(inventory, row, who.may("personal")),
                "state": LineState(int(view.state[row])).name.lower(),
                "since": present.time(int(view.since_ns[row])),
                "observability": bindings.reason_of(row).name.lower() if same else "unknown",
                "probed_at": present.time(int(view.probed_ns[row])),
                "replied_at": present.time(int(view.replied_ns[row])),
                "rtt_ms": present.number(view.rtt_ms[row]),
                "baseline_ms": present.number(view.baseline_ms[row]),
                "loss_ratio": present.number(view.loss_ratio[row]),
                "flaps_24h": int(view.flaps_24h[row]),
                "groups": list(inventory.groups.names_of(row)),
                "verdict": present.verdict(verdict, services.zone),
                "incident": present.brief(incident) if incident else None,
                "recent_incidents": [present.brief(i) for i in recent],
            }
        )

    @router.get("/lines/{line_id}/history", response_model=m.HistoryOut, responses=problems(404))
    async def history(
        line_id: str,
        request: Request,
        who: ReadsLines,
        hours: Annotated[float, Query(gt=0, le=24 * 31)] = DAY_H,
        points: Annotated[int, Query(ge=10, le=2000)] = 288,
    ) -> Response:
        """Probes and round-trip times, newest bins last. More than a day is for the NOC: it shows people's habits."""
        api.row_of(line_id, who)
        if hours > DAY_H and not who.may("history.long"):
            raise Problem(403, f"the role {who.role} sees the last 24 hours")
        if services.samples is None:
            raise Problem(503, "there is no store of samples", retry_s=60)
        api.note(request, who, "history", line_id, f"{hours:g} h")
        end_ns = services.clock.now_ns() + NS
        begin_ns = end_ns - int(hours * 3600 * NS)
        found = await to_thread.run_sync(services.samples.line_history, line_id, begin_ns, end_ns, points)
        return answer(
            {
                "line_id": line_id,
                "bin_s": found.bin_s,
                "at": [rfc3339(int(at)) for at in found.at_ns],
                "sent": found.sent.tolist(),
                "received": found.received.tolist(),
                "rtt_ms": [present.number(v) for v in found.rtt_ms],
                "rtt_min_ms": [present.number(v) for v in found.rtt_min_ms],
                "rtt_max_ms": [present.number(v) for v in found.rtt_max_ms],
            }
        )

    @router.post("/lines/{line_id}/probe", response_model=m.ProbeOut, status_code=202, responses=problems(404, 409))
    async def probe(line_id: str, request: Request, who: Probes) -> Response:
        """Probe this line and some neighbours now; `asked` is false when somebody did so a moment ago."""
        row = api.row_of(line_id, who)
        asked_ns, lines = api.live.ask(row)
        if not asked_ns:
            raise Problem(409, "this line cannot be probed: it has no address of its own now")
        api.note(request, who, "probe", line_id)
        return answer({"asked": lines > 0, "lines": lines, "retry_s": round(api.live.retry_s(row), 1)}, 202)

    @router.get("/elements", response_model=m.ElementList, responses={**problems(), **POLLED})
    async def top(request: Request, who: ReadsLines) -> Response:
        """The topmost elements, with the states of the lines under each."""
        inventory = services.inventory()
        counts = _Counts(inventory, services.view())
        reach = Reach.of(who, inventory)
        tops = [e for e in np.flatnonzero(inventory.elements.parent < 0) if reach.path(inventory.elements.paths[e])]
        tops = tops[:CHILDREN]
        return polled(request, {"items": [counts.of(int(e)) for e in tops]})

    @router.get("/elements/{path:path}/history", response_model=m.ElementHistoryOut, responses=problems(404))
    async def element_history(
        path: str,
        request: Request,
        who: ReadsLines,
        hours: Annotated[float, Query(gt=0, le=24 * 366)] = DAY_H,
        points: Annotated[int, Query(ge=10, le=2000)] = 288,
    ) -> Response:
        """Lines down and not known, and their round-trip time, of a region, exchange or access node. Of what is finer
        no history is kept: 404."""
        inventory = services.inventory()
        if inventory.elements.index_of(path) is None or not Reach.of(who, inventory).path(path):
            raise Problem(404, "there is no such element")
        if services.samples is None:
            raise Problem(503, "there is no store of samples", retry_s=60)
        end_ns = services.clock.now_ns()
        begin_ns = end_ns - int(hours * 3600 * NS)
        try:
            found = await to_thread.run_sync(services.samples.element_history, path, begin_ns, end_ns, points)
        except ValueError as error:
            raise Problem(404, str(error)) from None
        numbers = {name: [present.number(v) for v in getattr(found, name)] for name in m.ELEMENT_FIGURES}
        at = [rfc3339(int(at_ns)) for at_ns in found.at_ns]
        return answer({"path": path, "step_s": found.step_s, "at": at, **numbers})

    @router.get("/elements/{path:path}", response_model=m.ElementOut, responses={**problems(404), **POLLED})
    async def element(path: str, request: Request, who: ReadsLines) -> Response:
        """States and coverage of the lines under an element and under each of its children."""
        inventory, view = services.inventory(), services.view()
        index = inventory.elements.index_of(path)
        if index is None or not Reach.of(who, inventory).path(path):
            raise Problem(404, "there is no such element")
        counts = _Counts(inventory, view)
        own = counts.of(index)
        under = [
            i
            for i in view.incidents
            if i.status is not IncidentStatus.RESOLVED
            and i.scope.kind is ScopeKind.ELEMENT
            and (i.scope.name == path or i.scope.name.startswith(path + "/") or path.startswith(i.scope.name + "/"))
        ]
        lines = int(own["lines"])
        return polled(
            request,
            {
                **own,
                "coverage_ratio": round(int(own["observable"]) / lines, 4) if lines else 0.0,
                "incidents": [present.brief(i) for i in under],
                "children": [counts.of(c) for c in inventory.elements.children(index)[:CHILDREN]],
            },
        )

    return router


class _Counts:
    """States of the lines under an element; a view of another generation knows nothing."""

    def __init__(self, inventory: Inventory, view: EngineView) -> None:
        self._inventory = inventory
        same = view.generation == inventory.generation
        self._state = view.state if same else np.zeros(len(inventory), np.uint8)

    def of(self, element: int) -> dict[str, int | str]:
        elements = self._inventory.elements
        low, high = int(elements.lo[element]), int(elements.hi[element])
        unknown, up, degraded, down = np.bincount(self._state[low:high], minlength=4)[:4].tolist()
        return {
            "path": elements.paths[element],
            "kind": elements.kinds[element],
            # Depth first: a child stands right after its parent.
            "has_children": element + 1 < len(elements) and int(elements.parent[element + 1]) == element,
            "lines": high - low,
            "observable": high - low - unknown,
            "up": up,
            "degraded": degraded,
            "down": down,
            "unknown": unknown,
        }
