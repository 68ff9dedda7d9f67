"""InfluxDB over HTTP through influxdb-client: write compressed line protocol, ask InfluxQL.

`api = "v2"` writes to /api/v2/write (1.8 and newer, 2, 3, VictoriaMetrics), `api = "v1"` to /write (older 1.x, which
answers 404 to the other). Both are read by GET /query. The client's own batching and retries are not used: they keep
what is not sent in memory only.
"""

import json
from typing import Any

from monitor.secret import SecretProblem, read_secret
from monitor.store.problems import StoreProblem
from monitor.store.settings import InfluxSettings

SECTION = "store.influxdb"


class Unreachable(StoreProblem):
    """No answer, or "not now" (429, 5xx): the same may work later. `after_s`: what the server asks to wait, or 0."""

    def __init__(self, text: str, after_s: float = 0.0) -> None:
        super().__init__(text)
        self.after_s = after_s


class Forbidden(StoreProblem):
    """Wrong token, wrong password, or no such database: it works once somebody mends that."""


class Refused(StoreProblem):
    """The server does not want these points, now or later (400 and the like). It may have stored some of them."""


class InfluxClient:
    """Raises SecretProblem when the token or password cannot be read, StoreProblem for settings that cannot be."""

    def __init__(self, settings: InfluxSettings) -> None:
        from influxdb_client.client.influxdb_client import InfluxDBClient
        from influxdb_client.rest import ApiException
        from urllib3.exceptions import HTTPError

        self._settings = settings
        self._api_error: type[Any] = ApiException
        self._http_error: type[Exception] = HTTPError
        token = read_secret(settings, "token", SECTION)
        password = read_secret(settings, "password", SECTION)
        if settings.api == "v1" and token:
            raise SecretProblem(f"{SECTION}.token_* is for api = v2: v1 logs in with username and password_file")
        if settings.username and not password:
            raise SecretProblem(f"{SECTION}.username is set, but neither password_file nor password_env")
        basic = bool(settings.username) and not token
        self._client = InfluxDBClient(
            settings.url,
            token=f"{settings.username}:{password}" if basic else token or "",
            auth_basic=basic,
            org=settings.organisation or "-",
            timeout=int(settings.timeout_s * 1000),
            verify_ssl=settings.verify_tls,
            retries=False,
        )

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def write(self, payload: bytes) -> None:
        """One gzip-compressed body of line protocol, times in ms. Raises Unreachable, Forbidden, Refused."""
        settings = self._settings
        if settings.api == "v1":
            path, query = "/write", [("db", settings.database), ("precision", "ms")]
        else:
            path = "/api/v2/write"
            query = [("bucket", settings.database), ("org", settings.organisation or "-"), ("precision", "ms")]
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}
        self._call("POST", path, query, headers, payload)

    def query(self, statement: str, write: bool = False) -> list[dict[str, Any]]:
        """The series of an InfluxQL statement: each `{"name", "tags"?, "columns", "values"}`, times in ms.

        `write`: statements that change something go by POST. Raises Unreachable, Forbidden, Refused.
        """
        query = [("db", self._settings.database), ("epoch", "ms"), ("q", statement)]
        answer = self._call("POST" if write else "GET", "/query", query, {"Accept": "application/json"})
        results = answer.get("results", []) if isinstance(answer, dict) else []
        for result in results:
            if "error" in result:
                raise Refused(f"InfluxDB at {self._settings.url} refused a query: {result['error']}")
        return [series for result in results for series in result.get("series", [])]

    def create_database(self) -> None:
        """Make the database when it is missing (api = v1 only)."""
        name = self._settings.database.replace("\\", "\\\\").replace('"', '\\"')
        self.query(f'CREATE DATABASE "{name}"', write=True)

    def _call(
        self, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes | None = None
    ) -> Any:
        where = f"InfluxDB at {self._settings.url}"
        try:
            answer = self._client.api_client.call_api(  # type: ignore[no-untyped-call]
                path,
                method,
                query_params=query,
                header_params=headers,
                body=body,
                auth_settings=[],
                response_type="object" if body is None else None,
                _return_http_data_only=True,
            )
        except self._api_error as error:
            raise _reason(where, self._settings, error) from None
        except (self._http_error, OSError, ValueError) as error:
            cause = getattr(error, "reason", None) or error
            raise Unreachable(f"{where} does not answer ({_short(cause)}): is it running?") from None
        return answer


def _reason(where: str, settings: InfluxSettings, error: Any) -> StoreProblem:
    status, text = int(error.status or 0), _message(error)
    if status in (401, 403):
        how = "username and password_file" if settings.api == "v1" else "token_file"
        return Forbidden(f"{where} refuses our log-in ({text or status}): check {SECTION}.{how}")
    if status == 404:
        if "database not found" in text or "bucket" in text:
            return Forbidden(f"{where} has no {settings.database!r} ({text}): create it, or check {SECTION}.database")
        return Forbidden(f"{where} does not know this API (404): InfluxDB before 1.8 needs {SECTION}.api = v1")
    if status == 429 or status >= 500 or status == 0:
        return Unreachable(f"{where} cannot take it now ({status} {text})", _retry_after(error))
    return Refused(f"{where} refused points ({status} {text})")


def _message(error: Any) -> str:
    body = error.body or error.reason or ""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    try:
        found = json.loads(text)
    except ValueError:
        return _short(text)
    return _short(found.get("error") or found.get("message") or text) if isinstance(found, dict) else _short(text)


def _retry_after(error: Any) -> float:
    try:
        return min(max(float((error.headers or {}).get("Retry-After", 0)), 0.0), 300.0)
    except (TypeError, ValueError):
        return 0.0


def _short(text: object) -> str:
    return " ".join(str(text).split())[:300]
