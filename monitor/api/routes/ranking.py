"""The lines most likely to call within a week: the list a field team starts the day with, as JSON and CSV."""

import csv
import io
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from monitor.api import models as m
from monitor.api import present
from monitor.api.context import Api, answer, problems
from monitor.api.granted import ReadsRanking
from monitor.clock import rfc3339
from monitor.desk import LikelyCaller
from monitor.desk.reports import harmless

CSV_COLUMNS = (
    "rank",
    "line_id",
    "path",
    "score",
    "chance",
    "kind",
    "reason",
    "value",
    "unit",
    "started_at",
    "open",
    "flags_month",
    "flagged_week_h",
    "calls_month",
    "name",
    "street",
    "postcode",
    "city",
)


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["flags"])
    services = api.services

    @router.get(
        "/ranking",
        response_model=m.RankingOut,
        responses={**problems(), 200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    )
    async def ranking(
        request: Request,
        who: ReadsRanking,
        element: Annotated[str, Query(max_length=500, description="only lines under this path")] = "",
        limit: Annotated[int, Query(ge=1, le=5000)] = 100,
        format: Annotated[str, Query(pattern="^(json|csv)$")] = "json",
    ) -> Response:
        """Lines most likely to call within a week, most likely first. Made once a day; `basis` says how, and how good
        that was. Streets and names are masked where the role sees none."""
        newest = services.ranking()
        inventory = services.inventory()
        reach, open_data = api.reach(who), who.may("personal")
        under = element.strip("/")
        found: list[tuple[LikelyCaller, int]] = []
        listed = 0
        for one in newest.lines if newest is not None else ():
            row = inventory.index_of(one.line_id)
            if row is None or not reach.row(row):
                continue
            if under and not (inventory.elements.paths[int(inventory.leaf[row])] + "/").startswith(under + "/"):
                continue
            listed += 1
            if len(found) < limit:
                found.append((one, row))
        items = [present.likely(one, inventory, row, open_data, services.zone) for one, row in found]
        api.note(request, who, "ranking", under, f"{len(items)} as {format}")
        if format == "csv":
            headers = {"Content-Disposition": 'attachment; filename="ranking.csv"', "Cache-Control": "no-store"}
            return Response(_as_csv(items), headers=headers, media_type="text/csv; charset=utf-8")
        return answer(
            {
                "at": rfc3339(newest.at_ns) if newest is not None else None,
                "listed": listed,
                "basis": present.basis(newest.basis, services.zone) if newest is not None else None,
                "items": items,
            }
        )

    return router


def _as_csv(items: Iterable[present.Shown]) -> str:
    """A table for a spreadsheet: no text of it is run as a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    for item in items:
        cells = (item[column] for column in CSV_COLUMNS)
        writer.writerow(["" if c is None else harmless(c) if isinstance(c, str) else c for c in cells])
    return out.getvalue()
