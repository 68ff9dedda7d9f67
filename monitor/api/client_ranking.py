"""`faultline ranking`: the list of lines most likely to call, from a terminal.

Exit codes as in `monitor.api.client`."""

import json
from collections.abc import Iterator
from typing import Any, Literal, TextIO

import httpx

from monitor.api.client import ClientProblem, answer_of, clean, client_for, failed, local

HEADS = {
    "de": ("Platz", "Anschluss", "ruft an", "Punkte", "7 Tage", "Anrufe", "Warum"),
    "en": ("place", "line", "chance", "score", "7 days", "calls", "why"),
}
NOBODY = {"de": "Niemand: kein Anschluss ist auffällig", "en": "Nobody: no line has been noticed"}
NOT_YET = {"de": "Die erste Liste wird gerade gemacht", "en": "The first list is being made"}


def ranking(
    url: str,
    api_key: str,
    out: TextIO,
    err: TextIO,
    element: str = "",
    limit: int = 50,
    how: Literal["text", "json", "csv"] = "text",
    language: str = "en",
) -> int:
    """`how`: text; JSON lines, one line of the list each; or the server's CSV. What the list rests on goes to `err`."""
    params: dict[str, str | int] = {"element": element, "limit": limit}
    try:
        with client_for(url, api_key) as client:
            if how == "csv":
                response = client.get("/api/v1/ranking", params={**params, "format": "csv"})
                if response.is_success and response.headers.get("content-type", "").startswith("text/csv"):
                    out.write(response.text)
                    return 0
                answer_of(response)
                raise ClientProblem("answered, but not with CSV, which is not Faultline's way")
            answer = answer_of(client.get("/api/v1/ranking", params=params))
    except (ClientProblem, httpx.HTTPError) as problem:
        return failed(problem, url, err)
    if answer["basis"]:
        err.write(clean(f"{local(answer['at'])}, {answer['listed']}: {answer['basis']['text'][language]}") + "\n")
    else:
        err.write(NOT_YET[language] + "\n")
    if how == "json":
        out.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in answer["items"])
    elif answer["items"]:
        out.writelines(line + "\n" for line in _table(answer["items"], language))
    elif answer["basis"]:
        out.write(NOBODY[language] + "\n")
    return 0


def _table(items: list[dict[str, Any]], language: str) -> Iterator[str]:
    wide = max(8, *(len(one["line_id"]) for one in items))
    place, line, chance, score, days, calls, why = HEADS[language]
    yield f"{place:>5}  {line:<{wide}}  {chance:>7}  {score:>6}  {days:>7}  {calls:>6}  {why}"
    for one in items:
        likely = "-" if one["chance"] is None else f"{100 * one['chance']:.0f} %"
        text = one["text"][language] if one["text"] else "-"
        yield clean(
            f"{one['rank']:>5}  {one['line_id']:<{wide}}  {likely:>7}  {one['score']:>6.1f}"
            f"  {one['flagged_week_h']:>5.1f} h  {one['calls_month']:>6}  {text}  {one['path']}"
        )
