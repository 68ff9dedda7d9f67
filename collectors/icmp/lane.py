"""One family's way out and back: a socket, its sequence table, its key, and the judgement of every reply.

A reply counts only if it is an echo reply with our identifier, its serial number is on its way, its nonce is the one
that went out, it comes from the address that was asked, in time, and for the first time. All else is counted by name:
`late`, `duplicate`, `foreign` (another's), `forged` (ours by the look, but not by the key), `wrong_source`.

A probe whose fate we do not know is never lost: one that could not be sent, and one that was waiting when our own
socket dropped packets, are *uncertain*. Times are monotonic nanoseconds.
"""

import errno
import secrets
import select
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from collectors.icmp.codec import ECHO_REPLY, fill
from collectors.icmp.siphash import U64, SipHash
from collectors.icmp.transport import BATCH, BLOCK, RECEIVE, Received, Transport
from collectors.icmp.window import ANSWERED, PENDING, Expired, Window
from monitor.records.rounds import F32, I32, I64, U16

FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)  # there is no room just now
PATIENCE = 25  # times a full socket is waited for, a millisecond each, before a probe is given up
CHUNK = 1024  # probes sent before the replies are looked at: what numpy costs a call is paid once for all of them
COLLECT_AFTER = 2 * BATCH  # probes sent before the socket is emptied; its least size holds some 250 replies
DRAINS = 64  # bounds one drain against a flood
IDLE_NS = 1_000_000_000
_ODD = 2 * np.arange(BATCH) + 1
LEAST_MS = np.float32(0.001)  # a reply took some time: 0 would read as none


@dataclass(slots=True)
class Replies:
    """Accepted replies, n of them."""

    job: I32
    row: I32
    probe: U16
    rtt_ms: F32


class Lane:
    def __init__(
        self,
        transport: Transport,
        timeout_ns: int,
        key: SipHash | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.transport = transport
        self.family = transport.family
        self.window = Window()
        self.counts: Counter[str] = Counter()
        self._timeout_ns = timeout_ns
        self._key = key or SipHash()
        self._now_ns = now_ns
        self._drained_ns = now_ns()
        self._drops = transport.drops()
        self._idents: tuple[int, ...] = ()
        self._nonces: U64 = np.zeros(0, np.uint64)
        self._used = BLOCK
        self._rotated_ns = 0
        self.rotate()
        for _ in range(DRAINS):  # strangers' replies that came before the filter was there
            if transport.receive() is None:
                break

    def rotate(self) -> None:
        """Take a new random identifier (some firewalls block one that is seen too long); the last one still counts."""
        now = self._now_ns()
        if self._idents and now - self._rotated_ns < 2 * self._timeout_ns:
            return
        self._rotated_ns = now
        wanted = (secrets.randbelow(0xFFFF) + 1, *self._idents[:1])
        first = self.transport.use_idents(wanted)
        self._idents = (first, *wanted[1:])
        self._used = BLOCK  # the packets that are prepared carry the old one

    def _prepare(self) -> None:
        self._nonces = fill(self.transport.packets, self.family, self._idents[0], self.window.next, self._key)
        self._used = 0

    def send(self, job: int, rows: I32, probe: int, high: U64, low: U64, between: Callable[[], None]) -> I64:
        """Probe these addresses for rows of a job. Returns when each was sent, int64 [n] ns, 0 where it could not be.

        `between` is called from one `CHUNK` to the next, to look at what has come back meanwhile.
        """
        at_ns = np.zeros(len(rows), np.int64)
        done = 0
        while done < len(rows):
            if done:
                between()
            if self._used >= BLOCK:
                self._prepare()
            part = slice(done, done + min(CHUNK, len(rows) - done, BLOCK - self._used))
            self._send_some(at_ns[part], high[part], low[part])
            self._enter(job, rows[part], probe, at_ns[part], high[part], low[part])
            done = part.stop
        return at_ns

    def _send_some(self, at_ns: I64, high: U64, low: U64) -> None:
        """Send to each of these from the prepared packet `_used` on; `at_ns` is filled in for those that went out."""
        done, slot, unread, patience = 0, self._used, 0, PATIENCE
        while done < len(at_ns):
            count = min(BATCH, len(at_ns) - done)
            before = self._now_ns()
            sent, code = self.transport.send(slot, count, high[done : done + count], low[done : done + count])
            after = self._now_ns()
            if sent:
                # The kernel sends them one after the other: a stamp before or after the call would be off by a batch.
                at_ns[done : done + sent] = before + ((after - before) * _ODD[:sent]) // (2 * sent)
                done, slot, unread, patience = done + sent, slot + sent, unread + sent, PATIENCE
            if code or unread >= COLLECT_AFTER:
                self.transport.collect()
                unread = 0
            if not code:
                continue
            if code in FULL and patience:
                patience -= 1
                self._wait()
                continue
            # This one cannot be sent; those after it may.
            self.counts[f"send_{errno.errorcode.get(code, str(code))}"] += 1
            done += 1

    def _enter(self, job: int, rows: I32, probe: int, at_ns: I64, high: U64, low: U64) -> None:
        if not at_ns.all():  # what was not sent has used up no packet
            out = at_ns > 0
            rows, at_ns, high, low = rows[out], at_ns[out], high[out], low[out]
        count = len(rows)
        nonces = self._nonces[self._used : self._used + count]
        self.window.push(job, rows, probe, at_ns, nonces, high, low)
        self._used += count

    def _wait(self) -> None:
        poller = select.poll()
        poller.register(self.transport.fileno(), select.POLLOUT | select.POLLIN)
        if any(event & select.POLLOUT for _, event in poller.poll(1)):
            time.sleep(0.0002)  # writable, yet it said full: the queue of the device, which nothing tells about

    def drain(self) -> list[Replies]:
        """Read and judge all that has arrived."""
        accepted: list[Replies] = []
        if not len(self.window) and self._now_ns() - self._drained_ns < IDLE_NS:
            return accepted  # nothing is on its way: what waits is not ours, or late, and can wait a little
        for _ in range(DRAINS):
            started = self._now_ns()
            got = self.transport.receive()
            if got is not None:
                self.counts["foreign"] += got.strange
                if len(got.type) and (replies := self._judge(got)) is not None:
                    accepted.append(replies)
            if got is None or len(got.type) + got.strange < RECEIVE:
                self._drained_ns = started
                break
        return accepted

    def _judge(self, got: Received) -> Replies | None:
        ours = got.type == ECHO_REPLY[self.family]
        ours &= np.isin(got.ident, self._idents) if len(self._idents) > 1 else got.ident == self._idents[0]
        window = self.window
        inside, at = window.find(got.serial)
        genuine = ours & inside & (window.nonce[at] == got.nonce)
        source = (window.low[at] == got.low) & (window.high[at] == got.high)
        rtt_ns = got.at_ns - window.sent_ns[at]
        candidate = genuine & source & (window.state[at] == PENDING) & (rtt_ns <= self._timeout_ns)
        if candidate.all():
            picked = at
        else:
            self._count(got, ours, inside, genuine, source, at, rtt_ns)
            picked = at[candidate]
            rtt_ns = rtt_ns[candidate]
        if not len(picked):
            return None
        unique, first = np.unique(picked, return_index=True)  # of two replies in one batch, the first
        if len(unique) < len(picked):
            self.counts["duplicate"] += len(picked) - len(unique)
            picked, rtt_ns = unique, rtt_ns[first]
        window.state[picked] = ANSWERED
        rtt_ms = np.maximum((rtt_ns / 1e6).astype(np.float32), LEAST_MS)
        return Replies(window.job[picked], window.row[picked], window.probe[picked], rtt_ms)

    def _count(
        self,
        got: Received,
        ours: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
        inside: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
        genuine: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
        source: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
        at: I64,
        rtt_ns: I64,
    ) -> None:
        counts, state = self.counts, self.window.state[at]
        counts["foreign"] += int((~ours).sum())
        # Older than the table: only the key can tell whether we ever sent it.
        outside = np.flatnonzero(ours & ~inside)
        if len(outside):
            before = got.serial[outside] < np.uint64(self.window.next)
            known = before & (self._key.words(got.serial[outside]) == got.nonce[outside])
            counts["late"] += int(known.sum())
            counts["forged"] += int((~known).sum())
        counts["forged"] += int((ours & inside & ~genuine).sum())
        counts["wrong_source"] += int((genuine & ~source).sum())
        right = genuine & source
        counts["duplicate"] += int((right & (state == ANSWERED)).sum())
        counts["late"] += int((right & (state == PENDING) & (rtt_ns > self._timeout_ns)).sum())

    def expire(self) -> Expired | None:
        """What has waited its time out by the last complete drain; call `drain` before."""
        drops = self.transport.drops()
        if drops != self._drops:
            self.counts["overflow"] += (drops - self._drops) & 0xFFFFFFFF
            self._drops = drops
            self.window.taint()
        return self.window.expire(self._drained_ns - self._timeout_ns)

    def expires_ns(self) -> int | None:
        """When the oldest probe on its way has waited its time out."""
        return self.window.oldest_ns() + self._timeout_ns if len(self.window) else None

    def close(self) -> None:
        self.transport.close()
