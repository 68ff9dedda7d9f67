"""Customers' reports: documented with one click, listed, searched, exported."""

from collections.abc import Iterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from monitor.api import models as m
from monitor.api import present
from monitor.api.at_home import told_at_home
from monitor.api.context import Api, answer, given_time, problems
from monitor.api.granted import LogsCalls
from monitor.api.problems import Problem
from monitor.clock import NS
from monitor.desk import as_csv, judge_line
from monitor.desk.reports import MAX_PAGE, ReportPage
from monitor.records import Coded, Event

CALLED_S = 600.0  # a look-up marked as a call has told the engine already
FUTURE_S = 300.0


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["calls"])
    services, reports = api.services, api.reports

    before = {"model": m.CallCreated, "description": "logged before, by the same request"}

    @router.post(
        "/calls",
        response_model=m.CallCreated,
        status_code=201,
        responses={**problems(404, 409), 200: before},
    )
    async def add(body: m.CallIn, request: Request, who: LogsCalls) -> Response:
        """Document a customer's report with the verdict of this moment; it is evidence for the engine, too."""
        row = api.row_of(body.line_id, who)
        now_ns = services.clock.now_ns()
        started_ns = given_time(body.started_at, "started_at") if body.started_at else None
        if started_ns is not None and started_ns > now_ns + FUTURE_S * NS:
            raise Problem(422, "started_at: lies in the future")
        at_home = await told_at_home(services, body.line_id, body.wired_works)
        view = services.view()
        verdict = judge_line(row, view, services.inventory(), services.bindings(), now_ns, at_home)
        # The same person sends the same request again; another's is another report.
        request_id = f"{who.identity}:{body.request_id}" if body.request_id else ""

        inventory = services.inventory()
        region = inventory.elements.paths[int(inventory.leaf[row])].partition("/")[0]

        def write() -> tuple[present.Shown, Event, bool]:
            report, new = reports.add(
                verdict, now_ns, who.name, body.symptom, body.words, started_ns, body.disposition, request_id, region
            )
            case = present.both(Coded("say.report_logged", {"case": report.case_id}), services.zone)
            made = {**present.call(report), "say": case, "new": new}
            return made, report.event(), new

        made, event, new = await to_thread.run_sync(write)
        if made["line_id"] != body.line_id:
            raise Problem(409, "request_id: another line's report was logged with it; give a new one")
        api.note(request, who, "call", body.line_id, made["case_id"])
        signs = view.signs.get(row)
        if new and (signs is None or now_ns - signs.call_ns > CALLED_S * NS):
            api.tell_engine(event)
        return answer(made, 201 if new else 200)

    @router.get(
        "/calls",
        response_model=m.CallList,
        responses={**problems(), 200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    )
    async def search(
        request: Request,
        who: LogsCalls,
        line_id: Annotated[str, Query(max_length=200)] = "",
        incident_id: Annotated[str, Query(max_length=200)] = "",
        by: Annotated[str, Query(max_length=100)] = "",
        text: Annotated[str, Query(max_length=200, description="part of the words or the symptom")] = "",
        since: Annotated[str, Query(max_length=40)] = "",
        limit: Annotated[int | None, Query(ge=1, le=1000, description="left out: 50, as CSV all")] = None,
        cursor: Annotated[str, Query(max_length=40)] = "",
        format: Annotated[str, Query(pattern="^(json|csv)$")] = "json",
    ) -> Response:
        """Newest first. `format=csv` is for leads, and holds every report that matches unless `limit` says less."""
        if format == "csv" and not who.may("calls.export"):
            raise Problem(403, f"the role {who.role} may not export reports")
        since_ns = given_time(since, "since") if since else None
        everything = format == "csv" and limit is None

        def read(after: str) -> ReportPage:
            size = limit or (MAX_PAGE if everything else 50)
            return reports.search(line_id, incident_id, by, text, since_ns, size, after, who.regions)

        def rest(page: ReportPage) -> Iterator[str]:
            yield as_csv(page.items)
            while everything and page.cursor:
                page = read(page.cursor)
                yield as_csv(page.items, head=False)

        try:
            page = await to_thread.run_sync(read, cursor)
        except ValueError as error:
            raise Problem(422, str(error), errors=[{"field": "cursor", "message": str(error)}]) from None
        more = " and more" if everything and page.cursor else ""
        api.note(request, who, "calls", line_id or incident_id, f"{len(page.items)}{more} as {format}")
        if format == "csv":
            headers = {"Content-Disposition": 'attachment; filename="reports.csv"', "Cache-Control": "no-store"}
            return StreamingResponse(rest(page), headers=headers, media_type="text/csv; charset=utf-8")
        return answer({"items": [present.call(r) for r in page.items], "cursor": page.cursor})

    return router
