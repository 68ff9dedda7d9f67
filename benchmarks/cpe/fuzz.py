"""Fuzzes the USP codec with atheris (coverage-guided): never an exception but its own, and what is read can be written.

atheris is no dependency of the project: `uv pip install atheris` beside it, then
`python -m benchmarks.cpe.fuzz -max_total_time=60 [FOLDER OF SAMPLES]`. Ends with an error at the first finding.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports():
    from collectors.cpe.usp import calls
    from collectors.cpe.usp.messages import Msg, Record
    from collectors.cpe.usp.wire import Malformed, decode, encode


def once(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        calls.open_record(data)
    for cls in (Record, Msg):
        try:
            message = decode(cls, data)
        except Malformed:
            continue
        assert decode(cls, encode(message)) == message


if __name__ == "__main__":
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
