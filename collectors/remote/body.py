"""The body of `POST /api/v1/rounds`: one Arrow IPC stream, rows as in an observations file (docs/probers.md).

Columns: `at` int64 (ns UTC, the prober's clock), `line_id` text (or `element:PATH`, `reference:NAME`), `row` int32
(optional: the inventory's row instead of a line_id, -1 where there is none), `sent`, `received` uint16, `rtt_ms`,
optional `rtt_min_ms`, `rtt_max_ms`, `jitter_ms` float32, `round_id`, `request_id` int64, `family` uint8.
The schema's metadata: `source`, `sent_at` (ns UTC by the prober's clock, when it was sent), `batch` (sent again with
the same one, it is taken once), `inventory` (digest, needed for `row`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from monitor.inventory import Inventory
from monitor.records import ProbeRound, Reference, TargetKind
from monitor.records.rounds import F32, I32, I64, U8, U16

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_MAX = 100_000
TEXT_MAX = 1024  # characters of a line_id
OPTIONAL = ("rtt_min_ms", "rtt_max_ms", "jitter_ms")
ELEMENT, REFERENCE = "element:", "reference:"


class BodyProblem(ValueError):
    """What is wrong with a body, for people; names the column."""


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """n rows as sent. `names`: the texts of the rows in `named`; `row` -1 for those."""

    source: str
    sent_at_ns: int
    batch: str
    inventory: str
    row: I32
    named: I32
    names: list[str]
    at_ns: I64
    sent: U16
    received: U16
    rtt_ms: F32
    family: U8
    round_id: I64
    request_id: I64
    optional: dict[str, F32]

    def __len__(self) -> int:
        return len(self.row)


def encode(
    rounds: Sequence[ProbeRound],
    inventory: Inventory,
    references: Sequence[Reference],
    metadata: dict[str, str],
    rows_mean_the_same: bool,
) -> bytes:
    """Rounds of lines, elements and references of this inventory. `metadata` as in the module's description."""
    import pyarrow as pa

    row, names = [], []
    for one in rounds:
        count = len(one)
        by_row = one.kind is TargetKind.LINE and rows_mean_the_same
        row.append(one.target.astype(np.int32) if by_row else np.full(count, -1, np.int32))
        names.append(
            pa.nulls(count, pa.string()) if by_row else pa.array(_texts(one, inventory, references), pa.string())
        )
    columns: dict[str, Any] = {
        "at": np.concatenate([one.at_ns for one in rounds]),
        "line_id": pa.concat_arrays(names),
        "row": np.concatenate(row),
    }
    for name in ("sent", "received", "rtt_ms"):
        columns[name] = np.concatenate([getattr(one, name) for one in rounds])
    for name in OPTIONAL:
        if any(getattr(one, name) is not None for one in rounds):
            parts = [getattr(one, name) for one in rounds]
            nan = [np.full(len(one), np.nan, np.float32) for one in rounds]
            columns[name] = np.concatenate([n if p is None else p for p, n in zip(parts, nan, strict=True)])
    for name in ("round_id", "request_id"):
        columns[name] = np.concatenate([np.full(len(one), getattr(one, name), np.int64) for one in rounds])
    columns["family"] = np.concatenate([np.full(len(one), one.family, np.uint8) for one in rounds])
    table = pa.table(columns).replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    made: bytes = sink.getvalue().to_pybytes()
    return made


def _texts(one: ProbeRound, inventory: Inventory, references: Sequence[Reference]) -> list[str]:
    if one.kind is TargetKind.LINE:
        return inventory.line_ids.many(one.target)
    if one.kind is TargetKind.ELEMENT:
        return [ELEMENT + inventory.elements.paths[i] for i in one.target.tolist()]
    return [REFERENCE + references[i].name for i in one.target.tolist()]


def decode(data: bytes) -> Body:
    """Raises BodyProblem. Values are checked for type and length; what they mean is the caller's."""
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(pa.BufferReader(data)) as reader:
            metadata = {k.decode(): v.decode() for k, v in (reader.schema.metadata or {}).items()}
            table = _read(reader)
        table.validate(full=True)
    except (pa.ArrowException, UnicodeDecodeError, OSError, ValueError) as error:
        if isinstance(error, BodyProblem):
            raise
        raise BodyProblem(f"is not an Arrow IPC stream: {str(error)[:200]}") from None
    count = table.num_rows
    sent_at = metadata.get("sent_at", "0")
    if not sent_at.isdigit() or len(sent_at) > 19:
        raise BodyProblem(f"metadata sent_at is {sent_at[:40]!r}: give nanoseconds since 1970")
    row = _numbers(table, "row", np.int32, -1)
    texts = _column(table, "line_id")
    if texts is None:
        named = np.zeros(0, np.int32)
        names: list[str] = []
    else:
        if texts.type not in (pa.string(), pa.large_string()):
            raise BodyProblem(f"column line_id is {texts.type}: give text")
        given = texts.is_valid().to_numpy(zero_copy_only=False)
        named = np.flatnonzero(given).astype(np.int32)
        names = texts.filter(pa.array(given)).to_pylist()
        row = np.where(given, np.int32(-1), row)
    missing = np.ones(count, np.bool_)
    missing[named] = False
    if (wrong := np.flatnonzero(missing & (row < 0))).size:
        raise BodyProblem(f"row {wrong[0]}: neither line_id nor row says whose it is")
    if too_long := next((n for n in names if len(n) > TEXT_MAX), ""):
        raise BodyProblem(f"column line_id has a text of {len(too_long)} characters: at most {TEXT_MAX}")
    return Body(
        source=metadata.get("source", ""),
        sent_at_ns=int(sent_at),
        batch=metadata.get("batch", "")[:200],
        inventory=metadata.get("inventory", ""),
        row=row,
        named=named,
        names=names,
        at_ns=_numbers(table, "at", np.int64),
        sent=_numbers(table, "sent", np.uint16),
        received=_numbers(table, "received", np.uint16),
        rtt_ms=_numbers(table, "rtt_ms", np.float32, np.nan),
        family=_numbers(table, "family", np.uint8, 0),
        round_id=_numbers(table, "round_id", np.int64, 0),
        request_id=_numbers(table, "request_id", np.int64, 0),
        optional={name: _numbers(table, name, np.float32) for name in OPTIONAL if _column(table, name) is not None},
    )


def _read(reader: "pa.ipc.RecordBatchStreamReader") -> "pa.Table":
    import pyarrow as pa

    batches, rows = [], 0
    for batch in reader:
        rows += batch.num_rows
        if rows > ROWS_MAX:
            raise BodyProblem(f"more than {ROWS_MAX} rows: send less at once")
        batches.append(batch)
    return pa.Table.from_batches(batches, reader.schema)


def _column(table: "pa.Table", name: str) -> "pa.Array | None":
    import pyarrow as pa

    if name not in table.column_names:
        return None
    chunks = table.column(name).chunks
    return pa.concat_arrays(chunks) if chunks else pa.array([], table.schema.field(name).type)


def _numbers(table: "pa.Table", name: str, kind: type[np.generic], missing: float | None = None) -> Any:
    """The column as numpy; `missing` stands for nulls, and for a column that is not there (None: it must be)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _column(table, name)
    if column is None:
        if missing is None:
            raise BodyProblem(f"column {name} is missing")
        return np.full(table.num_rows, missing, kind)
    wanted = pa.from_numpy_dtype(np.dtype(kind))
    try:
        cast = column.cast(wanted)
    except (pa.ArrowException, ValueError) as error:
        raise BodyProblem(f"column {name}: {str(error)[:200]}") from None
    if cast.null_count:
        if missing is None and not np.issubdtype(kind, np.floating):
            raise BodyProblem(f"column {name} has rows without a value")
        cast = pc.fill_null(cast, pa.scalar(np.nan if missing is None else missing, wanted))
    numbers: npt.NDArray[Any] = cast.to_numpy(zero_copy_only=False)
    return numbers
