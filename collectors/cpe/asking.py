"""Requests to USP agents that wait for their answers, matched by message id and by who answers.

Used by the controller in the daemon and by the command line. An answer counts only from the router that was asked.
"""

import asyncio
import secrets
from collections import Counter

from collectors.cpe.normal import clean
from collectors.cpe.usp import calls
from collectors.cpe.usp.messages import Msg, Request, Response

MAX_WRONG = 64


class AgentSilent(Exception):
    """No answer came in time, or the connection went away meanwhile."""


class AgentError(Exception):
    """The agent answered with an Error message. `code`: 7000 and above; `wrong`: (path, code, text) by parameter.
    Texts are the router's own: one line each, of bounded length."""

    def __init__(self, code: int, text: str, wrong: list[tuple[str, int, str]]) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.wrong = wrong


class Asking:
    """`endpoint_id`: ours."""

    def __init__(self, endpoint_id: str) -> None:
        self._endpoint_id = endpoint_id
        self._waiting: dict[str, tuple[str, asyncio.Future[Response]]] = {}
        self._asked: Counter[str] = Counter()  # by serial: requests that wait
        self._prefix = secrets.token_hex(4)  # so that answers to a daemon that ended do not match
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def awaits(self, serial: str) -> bool:
        """Whether this router owes us an answer."""
        return serial in self._asked

    def begin(self, serial: str, endpoint: str, request: Request) -> tuple[str, bytes, "asyncio.Future[Response]"]:
        """(msg_id, the record to send, the future of the answer)."""
        self._count += 1
        msg_id = f"{self._prefix}-{self._count}"
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        record = calls.pack_request(request, msg_id, endpoint, self._endpoint_id)
        self._waiting[msg_id] = serial, future
        self._asked[serial] += 1
        return msg_id, record, future

    async def wait(self, msg_id: str, future: "asyncio.Future[Response]", patience_s: float) -> Response:
        """Raises AgentSilent, AgentError."""
        try:
            async with asyncio.timeout(patience_s):
                return await future
        except TimeoutError:
            raise AgentSilent(f"no answer within {patience_s:g} s") from None
        finally:
            if (waited := self._waiting.pop(msg_id, None)) is not None:
                self._asked[waited[0]] -= 1
                if not self._asked[waited[0]]:
                    del self._asked[waited[0]]

    def answered(self, serial: str, msg: Msg) -> bool:
        """Give an answer to who waits for it; False when nobody does (too late, or not this router's to answer)."""
        assert msg.header is not None
        assert msg.body is not None
        waiting = self._waiting.get(msg.header.msg_id)
        if waiting is None or waiting[0] != serial or waiting[1].done():
            return False
        if (error := msg.body.error) is not None:
            wrong = [(clean(e.param_path), e.err_code, clean(e.err_msg)) for e in error.param_errs[:MAX_WRONG]]
            waiting[1].set_exception(AgentError(error.err_code, clean(error.err_msg), wrong))
        elif msg.body.response is not None:
            waiting[1].set_result(msg.body.response)
        else:
            return False
        return True

    def give_up(self, why: str) -> None:
        """The connection is gone: nobody answers any more."""
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(AgentSilent(why))
