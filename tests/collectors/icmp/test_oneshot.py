"""The bulk ping of `faultline probe`."""

import io
import json
import os
import sys
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.icmp.engine import Table
from collectors.icmp.listing import BadList, Rows, addresses, read_targets, write_rows
from collectors.icmp.oneshot import run_probe
from monitor.inventory.address import AddressRules
from tests.collectors.icmp.helpers import Responder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the simulated network uses Linux sockets")


def run(file: str, wire: str = "", **options: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    status = run_probe(file, timeout_s=0.5, wire=wire, out=out, err=err, **options)  # type: ignore[arg-type]
    return status, out.getvalue(), err.getvalue()


def test_a_line_per_address_in_the_order_of_the_list(tmp_path: Path) -> None:
    """Text has seven fields, `-` where there is nothing to say; JSON the same by name; the total goes to stderr."""
    file = tmp_path / "list"
    file.write_text("10.0.0.2\n\n# the next is dead\n10.0.0.1  # here\n2001:db8::5\n")
    responder = Responder(tmp_path / "wire")
    responder.dead.add(bytes([10, 0, 0, 1]))
    try:
        status, out, err = run(str(file), str(responder.path))
        assert status == 0
        rows = [line.split() for line in out.splitlines()]
        assert [row[:4] for row in rows] == [
            ["10.0.0.2", "1", "1", "0.000"],
            ["10.0.0.1", "1", "0", "1.000"],
            ["2001:db8::5", "1", "1", "0.000"],
        ]
        assert rows[1][4:] == ["-", "-", "-"]
        assert all(float(ms) > 0 for ms in rows[0][4:])
        assert err.startswith("3 targets, 2 answered; 3 probes known, 2 replies, 1 lost (33.33%), 0 unknown")
        status, out, _ = run(str(file), str(responder.path), as_json=True)
        parsed = [json.loads(line) for line in out.splitlines()]
        assert list(parsed[0]) == [
            "address",
            "sent",
            "received",
            "loss_ratio",
            "rtt_min_ms",
            "rtt_median_ms",
            "rtt_max_ms",
        ]
        assert parsed[1] == {
            "address": "10.0.0.1",
            "sent": 1,
            "received": 0,
            "loss_ratio": 1.0,
            "rtt_min_ms": None,
            "rtt_median_ms": None,
            "rtt_max_ms": None,
        }
    finally:
        responder.close()


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("10.0.0.1\nexample.com\n", ":2: address: 'example.com' is not an IP address (names are not resolved)"),
        ("224.0.0.1\n", ":1: address: '224.0.0.1' is not a unicast address"),
        ("0.0.0.0\n", ":1: address: '0.0.0.0' is not a unicast address"),
        ("\n\n255.255.255.255\n", ":3: address: '255.255.255.255' is not a unicast address"),
        ("ff02::1\n", ":1: address: 'ff02::1' is not a unicast address"),
        ("10.0.0.1 10.0.0.2\n", ":1: address: '10.0.0.1 10.0.0.2' is not an IP address"),
        ("# nothing\n", ": there is no address in it"),
    ],
)
def test_a_bad_row_refuses_the_list(tmp_path: Path, text: str, row: str) -> None:
    """Nothing is sent when a row is wrong: one line on stderr names file and row, the status is 2."""
    file = tmp_path / "list"
    file.write_text(text)
    status, out, err = run(str(file), "/nowhere")
    assert (status, out) == (2, "")
    assert err.startswith(f"{file}{row}")
    assert err.count("\n") == 1


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    """A rate of 0, no probes, no timeout, a missing file, an IPv4 address under --ipv6: status 2 and a reason."""
    file = tmp_path / "list"
    file.write_text("10.0.0.1\n")
    assert run(str(file), rate_pps=0)[::2] == (2, "--rate must be a number above 0 (probes a second), not 0\n")
    assert run(str(file), rate_pps=float("nan"))[0] == run(str(file), rate_pps=float("inf"))[0] == 2
    assert run(str(file), count=0)[0] == 2
    assert run(str(tmp_path / "none"))[::2] == (2, f"{tmp_path / 'none'}: cannot be read (No such file or directory)\n")
    assert "but --ipv6 was given" in run(str(file), only6=True)[2]
    assert run_probe(str(file), timeout_s=0, err=io.StringIO()) == 2
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in run(str(tmp_path / "bytes"))[2]


def test_no_network_is_a_failure_at_run_time(tmp_path: Path) -> None:
    """Where no socket can be opened the status is 1 and the text says why."""
    file = tmp_path / "list"
    file.write_text("10.0.0.1\n")
    status, out, err = run(str(file), "/nowhere/wire")
    assert (status, out) == (1, "")
    assert err == "icmp.wire: no network answers at /nowhere/wire: No such file or directory\n"


@given(st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str), min_size=1, max_size=20))
def test_addresses_come_out_as_they_went_in(texts: list[str]) -> None:
    """What is read is written the same, whatever mixture of families; what may not be probed is refused."""
    try:
        table = read_targets("-", io.BytesIO("".join(f"{text}\n" for text in texts).encode()))
    except BadList as error:
        assert "is not a unicast address" in str(error)  # noqa: PT017
        return
    assert [bytes(row[row > 0]).decode() for row in addresses(table)] == texts


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need root")
def test_a_long_list_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand targets from standard input, at no particular rate: every one answers, in order."""
    texts = [f"127.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}" for i in range(1, 100_001)]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(texts)))
    out, err = io.StringIO(), io.StringIO()
    assert run_probe("-", rate_pps=1e6, timeout_s=2, out=out, err=err) == 0
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == texts
    assert all(line.split()[1:4] == ["1", "1", "0.000"] for line in lines)
    assert err.getvalue().startswith("100000 targets, 100000 answered; 100000 probes known, 100000 replies, 0 lost")


ROW = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.from_regex(r"[0-9]{0,4}(\.[0-9]{0,4}){0,4}", fullmatch=True),
    st.text("0123456789. #:a\t\r", max_size=20),
)


@given(st.lists(ROW, max_size=8), st.booleans())
def test_a_row_is_read_as_if_it_stood_alone(rows: list[str], newline: bool) -> None:
    """Block-wise reading takes and refuses exactly what the strict reading of each row by itself does."""
    rules = AddressRules()
    wanted, wrong = [], 0
    for number, row in enumerate(rows, 1):
        text = row.partition("#")[0].strip()
        if text and rules.refuse(text):
            wrong = number
            break
        wanted += [str(ip_address(text))] if text else []
    data = ("\n".join(rows) + "\n" * newline).encode()
    try:
        table = read_targets("-", io.BytesIO(data))
    except BadList as error:
        assert str(error).startswith(f"-:{wrong}: " if wrong else "-: there is no address")  # noqa: PT017
        return
    assert not wrong
    assert [bytes(row[row > 0]).decode() for row in addresses(table)] == wanted


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 1), st.floats(0.001, 60_000)), min_size=1),
    st.booleans(),
)
def test_numbers_are_written_as_they_are(results: list[tuple[int, float, float]], as_json: bool) -> None:
    """Counts, loss and times of any size come out with three decimals; `-`, or null in JSON, stands for none."""
    n = len(results)
    sent = np.array([row[0] for row in results], np.uint16)
    received = np.array([int(row[0] * row[1]) for row in results], np.uint16)
    rtt = np.array([[row[2]] * 3 for row in results], np.float32)
    table = Table(np.full(n, 4, np.uint8), np.zeros(n, np.uint64), np.arange(n, dtype=np.uint64) + 0x0A000000)
    lines = "".join(write_rows(Rows(table, sent, received, rtt), as_json)).splitlines()
    for line, count, got, ms in zip(lines, sent.tolist(), received.tolist(), rtt[:, 0].tolist(), strict=True):
        values = list(json.loads(line).values()) if as_json else line.split()
        values = [None if value == "-" else value for value in values]
        assert [int(value) for value in values[1:3]] == [count, got]
        assert (values[3] is None) == (count == 0)
        assert count == 0 or abs(float(values[3]) - (1 - got / count)) < 0.00051
        assert all((value is None) == (got == 0) for value in values[4:])
        assert got == 0 or abs(float(values[5]) - ms) < 0.00051


def test_a_million_rows_come_from_a_pipe_in_blocks() -> None:
    """A row that is cut by the end of a block is put together again, and a mistake in the last row has its number."""
    rows = [f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}" for i in range(1_000_000)]
    table = read_targets("-", io.BytesIO("\n".join(rows).encode()))
    assert np.array_equal(table.low, np.arange(1_000_000, dtype=np.uint64) + 0x0A000000)
    with pytest.raises(BadList, match=r"^-:1000001: address: 'no.such.name' is not an IP address"):
        read_targets("-", io.BytesIO("\n".join([*rows, "no.such.name"]).encode()))
