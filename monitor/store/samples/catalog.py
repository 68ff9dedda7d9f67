"""What lies in the embedded store, in one SQLite file beside the Parquet segments: line numbers, segments, roll-ups.

A segment exists when its row is committed here, so adding one, or putting one in the place of many, is one transaction;
files without a row are left-overs of a crash and are removed at start. Lines and names have small numbers, which the
segments hold. Any thread may call; one writes at a time.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError

from monitor.inventory import Inventory
from monitor.records.rounds import I32
from monitor.store.database import SqlFile
from monitor.store.problems import StoreProblem
from monitor.store.samples.base import STEPS_S
from monitor.store.samples.rollup import FIELDS, Figures

SCHEMA = "1"
CHUNK = 10_000

metadata = MetaData()
facts = Table("facts", metadata, Column("name", String, primary_key=True), Column("value", String, nullable=False))
lines = Table("lines", metadata, Column("number", Integer, primary_key=True), Column("line_id", String, unique=True))
names = Table("names", metadata, Column("number", Integer, primary_key=True), Column("name", String, unique=True))
segments = Table(
    "segments",
    metadata,
    Column("name", String, primary_key=True),  # relative to the store's folder
    Column("kind", String, nullable=False),  # probes, values, targets
    Column("hour", Integer, nullable=False),  # since the epoch
    Column("low", Integer, nullable=False),  # numbers of lines or names in it
    Column("high", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False),  # 0: as written, 1: several joined, 2: the whole hour
    Column("crc32", BigInteger, nullable=False),  # of the file
    Index("ix_segments_hour", "kind", "hour"),
)
rollups = Table(
    "rollups",
    metadata,
    Column("step_s", Integer, primary_key=True),
    Column("element", String, primary_key=True),
    Column("at_s", BigInteger, primary_key=True),
    *[Column(name, Float) for name in FIELDS],
    Index("ix_rollups_at", "step_s", "at_s"),
    sqlite_with_rowid=False,
)


class Segment(msgspec.Struct, frozen=True):
    name: str
    kind: str
    hour: int
    low: int
    high: int
    rows: int
    first_seq: int
    last_seq: int
    generation: int
    crc32: int


class Catalog:
    """Raises StoreProblem when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._sql = SqlFile(path)
        try:
            with self._sql.write() as connection:
                metadata.create_all(connection)
                row = {"name": "schema", "value": SCHEMA}
                connection.execute(sqlite.insert(facts).on_conflict_do_nothing(), row)
                found = connection.scalar(select(facts.c.value).where(facts.c.name == "schema"))
        except SQLAlchemyError as error:
            self._sql.close()
            raise StoreProblem(
                f"{path} cannot be used ({getattr(error, 'orig', None) or error}): restore it from a backup, or move"
                f" {path.parent} away to start with an empty history"
            ) from None
        if found != SCHEMA:
            self._sql.close()
            raise StoreProblem(f"{path} was written by a newer Faultline (schema {found}): run that version")

    def close(self) -> None:
        self._sql.close()

    # -- numbers

    def line_numbers(self, inventory: Inventory) -> I32:
        """The number of each line, int32 [n]; lines not seen before get one."""
        out = np.empty(len(inventory), np.int32)
        for low in range(0, len(inventory), CHUNK):
            rows = np.arange(low, min(low + CHUNK, len(inventory)))
            ids = inventory.line_ids.many(rows)
            found = self._numbers(lines, lines.c.line_id, ids)
            out[rows] = np.fromiter((found[i] for i in ids), np.int32, len(ids))
        return out

    def line_number(self, line_id: str) -> int | None:
        with self._sql.read() as connection:
            number: int | None = connection.scalar(select(lines.c.number).where(lines.c.line_id == line_id))
        return number

    def name_numbers(self, wanted: Sequence[str]) -> dict[str, int]:
        return self._numbers(names, names.c.name, list(wanted))

    def name_number(self, name: str) -> int | None:
        with self._sql.read() as connection:
            number: int | None = connection.scalar(select(names.c.number).where(names.c.name == name))
        return number

    def _numbers(self, table: Table, column: Any, wanted: list[str]) -> dict[str, int]:
        query = select(column, table.c.number).where(column.in_(wanted))
        with self._sql.read() as connection:
            found: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
        if missing := [w for w in wanted if w not in found]:
            with self._sql.write() as connection:
                connection.execute(
                    sqlite.insert(table).on_conflict_do_nothing(), [{column.name: text} for text in missing]
                )
                found |= {row[0]: row[1] for row in connection.execute(query)}
        return found

    # -- segments

    def segments(
        self, kind: str | None = None, hours: tuple[int, int] | None = None, number: int | None = None
    ) -> list[Segment]:
        """Those of the hours first..last (both included) that may hold line or name `number`, in order of writing."""
        row = segments.c
        query = select(segments).order_by(row.hour, row.first_seq, row.low)
        if kind is not None:
            query = query.where(row.kind == kind)
        if hours is not None:
            query = query.where(row.hour.between(*hours))
        if number is not None:
            query = query.where(row.low <= number, row.high >= number)
        with self._sql.read() as connection:
            return [Segment(*found) for found in connection.execute(query)]

    def last_seq(self) -> int:
        with self._sql.read() as connection:
            value = connection.scalar(select(facts.c.value).where(facts.c.name == "last_seq"))
        return -1 if value is None else int(value)

    def add(self, new: Sequence[Segment], last_seq: int) -> None:
        """Make segments count, and with them every journal entry up to `last_seq`."""
        with self._sql.write() as connection:
            if new:
                connection.execute(sqlite.insert(segments), [msgspec.structs.asdict(s) for s in new])
            row = {"name": "last_seq", "value": str(last_seq)}
            insert = sqlite.insert(facts)
            connection.execute(insert.on_conflict_do_update(["name"], set_={"value": insert.excluded.value}), row)

    def replace(self, old: Iterable[str], new: Sequence[Segment]) -> bool:
        """Put `new` in the place of `old`; False (and nothing done) when one of `old` is gone."""
        old = list(old)
        with self._sql.write() as connection:
            present = select(func.count()).select_from(segments).where(segments.c.name.in_(old))
            if connection.scalar(present) != len(old):
                return False
            connection.execute(delete(segments).where(segments.c.name.in_(old)))
            if new:
                connection.execute(sqlite.insert(segments), [msgspec.structs.asdict(s) for s in new])
        return True

    # -- roll-ups

    def add_rollups(self, found: Iterable[tuple[int, int, Figures]]) -> None:
        """`(step_s, at_s, figures)` of any levels and steps, in one transaction; the same again replaces them."""
        rows = [
            {"step_s": step_s, "element": name, "at_s": at_s, **dict(zip(FIELDS, row, strict=True))}
            for step_s, at_s, level in found
            for name, row in zip(level.names, level.values.tolist(), strict=True)  # NaN becomes NULL
        ]
        if not rows:
            return
        insert = sqlite.insert(rollups)
        update = insert.on_conflict_do_update(
            ["step_s", "element", "at_s"], set_={name: insert.excluded[name] for name in FIELDS}
        )
        with self._sql.write() as connection:
            connection.execute(update, rows)

    def rollup(self, step: str, element: str, start_s: int, end_s: int) -> list[Any]:
        """Rows (at_s, *FIELDS), oldest first, start <= at < end."""
        row = rollups.c
        query = (
            select(row.at_s, *(row[name] for name in FIELDS))
            .where(row.step_s == STEPS_S[step], row.element == element, row.at_s >= start_s, row.at_s < end_s)
            .order_by(row.at_s)
        )
        with self._sql.read() as connection:
            return list(connection.execute(query))

    def forget_rollups(self, step_s: int, before_s: int) -> None:
        with self._sql.write() as connection:
            connection.execute(delete(rollups).where(rollups.c.step_s == step_s, rollups.c.at_s < before_s))
