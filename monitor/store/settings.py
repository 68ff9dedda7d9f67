"""The store's part of the configuration file: `[store]`, and `[store.influxdb]` when that engine is chosen."""

from typing import Literal

import msgspec


class InfluxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where InfluxDB is, and what stands before it.

    `api`: "v2" writes through /api/v2/write (InfluxDB 1.8 and newer, 2, 3, VictoriaMetrics), "v1" through /write (older
    1.x). Both are read by InfluxQL over GET /query. For v2, `database` is the bucket and `organisation` may be needed;
    v1 logs in with `username` and the password, v2 with the token. `create_database`: v1 only.
    The spool holds what InfluxDB has not acknowledged, up to `spool_max_mb`; when full, `spool_full` says what goes:
    "drop_oldest" or "drop_newest", always counted. `drain_points_per_s` bounds how fast a backlog is written after an
    outage, so that a recovering server is not pushed over again; 0: no bound.
    """

    url: str = "http://127.0.0.1:8086"
    api: Literal["v1", "v2"] = "v2"
    database: str = "faultline"
    organisation: str = ""
    username: str = ""
    password_file: str = ""
    password_env: str = ""
    token_file: str = ""
    token_env: str = ""
    create_database: bool = True
    verify_tls: bool = True
    timeout_s: float = 10.0
    batch_points: int = 10_000
    retry_s: float = 5.0
    spool_max_mb: int = 2048
    spool_full: Literal["drop_oldest", "drop_newest"] = "drop_oldest"
    drain_points_per_s: int = 200_000


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything Faultline keeps lies under `folder`; one daemon at a time.

    `state_url`: "" is SQLite in the folder, or an SQLAlchemy URL, as postgresql+pg8000://user@host/faultline (its
    password by `state_password_file` or `state_password_env`). `engine` keeps the samples: "embedded" (Parquet files in
    the folder) or "influxdb". Retention is in days, 0 keeps for ever; that of InfluxDB's database is InfluxDB's own.
    `flush_s`: samples wait at most so long in memory before they are written (they stand in the journal meanwhile).
    """

    folder: str = "data"
    state_url: str = ""
    state_password_file: str = ""
    state_password_env: str = ""
    engine: Literal["embedded", "influxdb"] = "embedded"
    retention_days: float = 14.0
    rollup_1m_days: float = 14.0
    rollup_5m_days: float = 90.0
    rollup_1h_days: float = 730.0
    incident_days: float = 730.0
    flush_s: float = 60.0
    influxdb: InfluxSettings = InfluxSettings()
