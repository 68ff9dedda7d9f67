"""Customers' reports over HTTP: logged with one click, frozen, searched, exported."""

import asyncio
import csv
import io

import pytest

from monitor.desk import Reports
from tests.api.conftest import Clients, Provider

PON = "north/ex-1/olt-1/pon-1"


async def test_report_in_one_click(isp: Provider, http: Clients) -> None:
    """The customer's words, the verdict frozen, a case number to say, evidence for the engine; twice is once."""
    isp.scene.down(*range(8))
    made = isp.scene.incident(f"element:{PON}", *range(8))
    isp.publish()
    body = {"line_id": "L000", "symptom": "no_internet", "words": "=alles <weg>", "request_id": "r1"}
    response = await http["agent"].post("/api/v1/calls", json=body)
    assert response.status_code == 201
    report = response.json()
    assert (report["verdict"], report["incident_id"], report["by"]) == ("KNOWN_OUTAGE", made.incident_id, "agent")
    assert report["case_id"] in report["say"]["de"]
    again = await http["agent"].post("/api/v1/calls", json=body)
    assert (again.status_code, again.json()["case_id"]) == (200, report["case_id"])
    await asyncio.sleep(0.05)
    assert [(e.kind, e.subject) for e in isp.said] == [("call", "L000")]
    listed = (await http["agent"].get("/api/v1/calls", params={"incident_id": made.incident_id})).json()
    assert [r["case_id"] for r in listed["items"]] == [report["case_id"]]
    table = await http["lead"].get("/api/v1/calls", params={"format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    assert list(csv.reader(io.StringIO(table.text)))[1][4] == "'=alles <weg>"
    assert (await http["agent"].get("/api/v1/calls", params={"format": "csv"})).status_code == 403


async def test_report_is_frozen_with_what_the_customer_found(isp: Provider, http: Clients) -> None:
    """The answer to "does a device on a cable work?" stands in the report as in the look-up."""
    body = {"line_id": "L000", "wired_works": True}
    assert (await http["agent"].post("/api/v1/calls", json=body)).json()["verdict"] == "WIFI_ONLY"
    (report,) = Reports(isp.state).search().items
    assert "seen.wired_works" in [e.said.code for e in report.verdict.evidence]


async def test_request_id_of_another_line_is_a_conflict(http: Clients) -> None:
    """A report is never taken for another line's: nothing would be documented."""
    body = {"line_id": "L000", "request_id": "r1"}
    assert (await http["agent"].post("/api/v1/calls", json=body)).status_code == 201
    response = await http["agent"].post("/api/v1/calls", json={**body, "line_id": "L001"})
    assert (response.status_code, "request_id" in response.json()["detail"]) == (409, True)


async def test_csv_holds_every_report_that_matches(http: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the first page of them; a search bounds it; one head line."""
    monkeypatch.setattr("monitor.api.routes.calls.MAX_PAGE", 3)
    for n in range(8):
        body = {"line_id": "L000", "words": "odd" if n % 2 else "even"}
        assert (await http["agent"].post("/api/v1/calls", json=body)).status_code == 201

    async def cases(**params: str) -> list[str]:
        table = await http["lead"].get("/api/v1/calls", params={"format": "csv", **params})
        return [row[0] for row in csv.reader(io.StringIO(table.text))]

    assert await cases() == ["case_id", *(f"R-{n:06d}" for n in range(8, 0, -1))]
    assert await cases(text="odd") == ["case_id", *(f"R-{n:06d}" for n in (8, 6, 4, 2))]
    assert await cases(limit="2") == ["case_id", "R-000008", "R-000007"]


async def test_report_does_not_depend_on_the_engine(isp: Provider, http: Clients) -> None:
    """What a customer was promised is in the store, even when the engine takes nothing."""
    isp.full = True
    response = await http["agent"].post("/api/v1/calls", json={"line_id": "L000"})
    assert response.status_code == 201
    assert len((await http["agent"].get("/api/v1/calls")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"line_id": "none"}, 404),
        ({"started_at": "2036-01-01T00:00:00Z"}, 422),
        ({"started_at": "yesterday"}, 422),
        ({"started_at": "2026-01-01T00:00:00"}, 422),
        ({"started_at": "1600-01-01T00:00:00Z"}, 422),
        ({"symptom": "x"}, 422),
        ({"disposition": "<script>"}, 422),
        ({"words": "a\0b"}, 422),
        ({"words": "x" * 4001}, 422),
        ({"by": "me"}, 422),
    ],
)
async def test_bad_reports(isp: Provider, http: Clients, change: dict[str, str], status: int) -> None:
    """Each wrong field is refused, and nothing is documented."""
    response = await http["agent"].post("/api/v1/calls", json={"line_id": "L000", **change})
    assert response.status_code == status
    assert (await http["agent"].get("/api/v1/calls")).json()["items"] == []
