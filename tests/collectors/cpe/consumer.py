"""A process with nothing but the CPE collector and a journal: `python -m tests.collectors.cpe.consumer PORT FOLDER
PROTOCOL`. What comes is written (fsync) to FOLDER/journal every 50 ms, then the producers' futures are done, as the
daemon does it. Made to be killed.
"""

import asyncio
import os
import sys
from concurrent.futures import Future
from pathlib import Path

from collectors.cpe.collector import CpeCollector
from collectors.cpe.settings import CpeSettings
from monitor.records import Event, LineValues, ProbeRound, ValueKind
from tests.collectors.rig import RecordingSink, Rig, small_inventory


class JournalSink(RecordingSink):
    """Lines "event VALUE EVENT_ID" and "value NUMBER"."""

    def __init__(self, path: Path) -> None:
        super().__init__(written=False)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._lines: list[str] = []

    def put_event(self, event: Event) -> "Future[None]":
        self._lines.append(f"event {event.value} {event.event_id}\n")
        return super().put_event(event)

    def put_round(self, item: ProbeRound | LineValues) -> "Future[None]":
        assert isinstance(item, LineValues)
        numbers = item.value[item.kind == ValueKind.CRC_ERRORS].astype(int).tolist()
        self._lines += [f"value {number}\n" for number in numbers]
        return super().put_round(item)

    async def journal(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            lines, self._lines = self._lines, []
            os.write(self._file, "".join(lines).encode())
            os.fsync(self._file)
            self.write()


async def main(port: int, folder: Path, protocol: str) -> None:
    sink = JournalSink(folder / "journal")
    rig = Rig(small_inventory(folder, 50), sink)
    settings = CpeSettings(
        host="127.0.0.1",
        port=port,
        client_id="consumer",
        protocol="5" if protocol == "5" else "3.1.1",
        max_messages=60_000,
        batch_s=0.1,
        receive_maximum=200,
    )
    await asyncio.gather(CpeCollector(settings, rig.context).run(), sink.journal())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
