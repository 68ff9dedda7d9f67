"""`faultline lookup` and `faultline incidents`: the API from a terminal, printed as an agent reads the page.

Functions return the exit code and write to `out` (results) and `err` (one line when something is wrong): 0 done, 1 the
server could not do it, 2 the input was wrong. `--json` prints the server's own answers, one object a line.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TextIO

import httpx

from monitor.words import LANGUAGES, duration

TIMEOUT_S = 15.0
AGAIN_S = 2.0  # between attempts to reach a server that has gone
LABELS = {
    "de": ("Seit", "Umfang", "Behoben bis", "Sagen", "Schritte", "Beachten", "Belege", "Außerdem", "offen", "zugesagt"),
    "en": ("Since", "Scope", "Fixed by", "Say", "Steps", "Mind", "Evidence", "Also seen", "open", "promised"),
}


class ClientProblem(Exception):
    """What to print on stderr, and the exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def lookup(
    key: str, url: str, api_key: str, out: TextIO, err: TextIO, as_json: bool = False, language: str = "en"
) -> int:
    """The verdict for the line that `key` names. Several matches print the candidates and give 2."""
    try:
        with client_for(url, api_key) as client:
            answer = answer_of(client.post("/api/v1/lookup", json={"key": key}))
    except (ClientProblem, httpx.HTTPError) as problem:
        return failed(problem, url, err)
    if as_json:
        out.write(json.dumps(answer, ensure_ascii=False) + "\n")
    else:
        for line in _verdict(answer, language):
            out.write(line + "\n")
    if not answer["matches"]:
        err.write(clean(f"nothing is known by {key!r}: give a line id, customer id, phone, address or IP") + "\n")
    return 0 if answer["line"] else 2


def incidents(
    url: str,
    api_key: str,
    out: TextIO,
    err: TextIO,
    follow: bool = False,
    as_json: bool = False,
    language: str = "en",
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Open incidents; with `follow` every change as it comes, until `stop()` or Ctrl-C; a server that has gone is
    asked again and again."""
    try:
        with client_for(url, api_key) as client:
            shown: dict[str, int] = {}
            _print_list(client, out, as_json, language, shown)
            while follow and not stop():
                try:
                    for name, data in _events(client):
                        if name == "incident":
                            _print_changed(data, out, as_json, language, shown)
                        elif name in ("hello", "resync"):
                            _print_list(client, out, as_json, language, shown, only_new=True)
                        if stop():
                            break
                except httpx.HTTPError as problem:
                    err.write(f"{url}: {_what(problem)}; trying again\n")
                    time.sleep(AGAIN_S)
    except (ClientProblem, httpx.HTTPError) as problem:
        return failed(problem, url, err)
    except KeyboardInterrupt:
        return 0
    return 0


def client_for(url: str, api_key: str) -> httpx.Client:
    if not api_key:
        raise ClientProblem("no key: set FAULTLINE_KEY (an administrator makes one with `faultline key create`)", 2)
    if not url.startswith(("http://", "https://")):
        raise ClientProblem(f"{url!r} is no URL: give http://host:port", 2)
    try:
        headers = {"Authorization": f"Bearer {api_key.encode('ascii').decode()}"}
    except UnicodeEncodeError:
        raise ClientProblem("FAULTLINE_KEY is not a key: it begins with fl_", 2) from None
    return httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=TIMEOUT_S, trust_env=False)


def answer_of(response: httpx.Response) -> dict[str, Any]:
    try:
        body: dict[str, Any] = response.json()
    except ValueError:
        body = {}
    if response.is_success and body:
        return body
    detail = body.get("detail") or f"answered {response.status_code}, which is not Faultline's way"
    raise ClientProblem(str(detail), 2 if response.status_code == 422 else 1)


def failed(problem: Exception, url: str, err: TextIO) -> int:
    err.write(f"{url}: {_what(problem)}\n" if isinstance(problem, httpx.HTTPError) else f"{problem}\n")
    return problem.code if isinstance(problem, ClientProblem) else 1


def _what(problem: Exception) -> str:
    if isinstance(problem, httpx.ConnectError):
        return "cannot be reached: does the daemon run, and is the URL right?"
    if isinstance(problem, httpx.TimeoutException):
        return "does not answer in time"
    return str(problem) or type(problem).__name__


def _verdict(answer: dict[str, Any], language: str) -> Iterator[str]:
    assert language in LANGUAGES
    since, scope, fixed, say, steps, dont, evidence, also, _, promised = LABELS[language]
    verdict, line = answer["verdict"], answer["line"]
    yield clean(f"{verdict['title'][language]}  ({verdict['confidence_text'][language]})")
    if line:
        yield clean(f"  {line['line_id']}  {line['path']}  {line['name']}")
    if verdict["since"]:
        yield f"  {since}: {local(verdict['since'])}"
    if verdict["scope"]:
        incident = answer["incident"]
        counts = f", {_affected(incident)}" if incident else ""
        yield clean(f"  {scope}: {verdict['scope']['text'][language]}{counts}  {verdict['incident_id']}")
    if verdict["etr"]:
        yield f"  {fixed}: {local(verdict['etr']['at'])}{f' ({promised})' if verdict['etr']['promised'] else ''}"
    yield clean(f"  {say}: {verdict['say'][language]}")
    for title, items in ((steps, verdict["steps"]), (dont, verdict["do_not"])):
        for n, item in enumerate(items):
            yield clean(f"  {title + ':' if n == 0 else ' ' * len(title) + ' '} {n + 1}. {item['text'][language]}")
    for n, item in enumerate(verdict["evidence"]):
        title = f"{evidence}:" if n == 0 else " " * (len(evidence) + 1)
        yield clean(f"  {title} {item['text'][language]} ({duration(item['age_s'], language)}, {item['source']})")
    if verdict["also_seen"]:
        yield clean(f"  {also}: " + ", ".join(a["text"][language] for a in verdict["also_seen"]))
    for one in answer["candidates"]:
        yield clean(f"  {one['line_id']}  {one['name_hint']}  {one['street_hint']}  {one['city']}")
    if answer["matches"] > len(answer["candidates"]) > 0:
        yield f"  ... {answer['matches'] - len(answer['candidates'])} more"


def _print_list(
    client: httpx.Client, out: TextIO, as_json: bool, language: str, shown: dict[str, int], only_new: bool = False
) -> None:
    cursor = ""
    while True:
        page = answer_of(client.get("/api/v1/incidents", params={"limit": 200, "cursor": cursor}))
        for incident in page["items"]:
            _print_changed(incident, out, as_json, language, shown)
        cursor = page["cursor"]
        if not cursor:
            break
    if not shown and not as_json and not only_new:
        out.write("Keine offenen Störungen\n" if language == "de" else "No open incidents\n")
        out.flush()


def _affected(incident: dict[str, Any]) -> str:
    """Down of how many; a failing resolver or a slow segment has no line that is down."""
    if incident["kind"] in ("outage", "planned"):
        return f"{incident['lines_down']}/{incident['lines_at_risk']}"
    return str(incident.get("lines_affected") or incident["lines_at_risk"])


def _print_changed(incident: dict[str, Any], out: TextIO, as_json: bool, language: str, shown: dict[str, int]) -> None:
    """A revision that was printed before is not printed again."""
    if shown.get(incident["incident_id"], -1) >= incident["revision"]:
        return
    shown[incident["incident_id"]] = incident["revision"]
    if as_json:
        out.write(json.dumps(incident, ensure_ascii=False) + "\n")
    else:
        counts = _affected(incident)
        start = local(incident["started_at"])
        text = (
            f"{start}  {incident['status']:<10} {counts:>11}  {incident['title'][language]}  {incident['incident_id']}"
        )
        out.write(clean(text) + "\n")
    out.flush()


def _events(client: httpx.Client) -> Iterator[tuple[str, dict[str, Any]]]:
    """Server-sent events as (name, data); ends when the server ends the stream."""
    with client.stream("GET", "/api/v1/stream", timeout=httpx.Timeout(TIMEOUT_S, read=60)) as response:
        if not response.is_success:
            response.read()
            answer_of(response)
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                yield name, json.loads(line[6:])


def local(text: str) -> str:
    """The time as this terminal's user reads it."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M")


def clean(text: str) -> str:
    """Without control characters: names come from outside, and a terminal obeys them."""
    return "".join(c if c.isprintable() else "?" for c in text)
