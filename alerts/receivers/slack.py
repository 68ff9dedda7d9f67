"""Slack by its Web API: one message per incident, changed in place; what matters is also said in its thread.

`chat.update` needs a bot token and the channel id and ts that `chat.postMessage` gave: they are the handle. slack_sdk's
blocking client runs in threads of its own (its async client needs aiohttp), without retries: the chain retries.
The order of calls (message, then thread) makes doing it again after a crash harmless but for one more thread line.
"""

import http.client
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from alerts.message import Message
from alerts.receivers.base import Deferred, Later, Pacer, Refused, Undelivered, Unreachable
from alerts.receivers.slack_blocks import fallback, message_blocks, thread_blocks, thread_fallback
from alerts.receivers.slack_webhook import IncomingWebhook
from alerts.receivers.threads import BlockingCalls
from alerts.settings import SlackSettings
from alerts.text import one_line
from monitor.clock import Clock
from monitor.secret import read_secret

# What Slack answers when the message cannot be changed any more: it is posted anew.
_LOST = {"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"}
_CONTENT = {
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_too_long",
    "no_text",
    "invalid_attachments",
    "msg_blocks_too_long",
}
_SET_UP = {
    "invalid_auth": "the bot token is not valid: check token_file or token_env",
    "not_authed": "no bot token was sent: check token_file or token_env",
    "token_revoked": "the bot token was revoked: install the app again and replace the token",
    "token_expired": "the bot token has expired: replace it",
    "account_inactive": "the bot's account is deactivated",
    "missing_scope": "the bot token lacks the scope chat:write",
    "channel_not_found": "the channel does not exist or the bot cannot see it: check channel, invite the bot",
    "not_in_channel": "the bot is not a member of the channel: invite it",
    "is_archived": "the channel is archived",
    "restricted_action": "the workspace does not let the bot post in this channel",
}
RETRY_AFTER_DEFAULT_S = 30.0
RETRY_AFTER_MOST_S = 900.0


class SlackReceiver:
    in_place = True
    summaries = True
    repeat_s = 0.0

    def __init__(self, settings: SlackSettings, clock: Clock, name: str = "slack") -> None:
        """Raises SecretProblem when a secret cannot be read."""
        self.name = name
        self.most_per_hour = settings.most_per_hour
        self._settings = settings
        self.update_s = settings.update_s
        self.pacer = Pacer(clock, settings.interval_s)
        self._calls = BlockingCalls("slack")
        token = read_secret(settings, "token", "alerts.slack")
        self._with_button = bool(settings.signing_secret_file or settings.signing_secret_env)
        webhook = read_secret(settings, "webhook", "alerts.slack")
        self._fallback = IncomingWebhook(webhook, settings, alone=token is None) if webhook else None
        self._client = WebClient(
            token=token,
            base_url=settings.base_url,
            timeout=max(1, round(settings.timeout_s)),
            retry_handlers=[],
            logger=_silent_log(),
        )

    async def send(self, message: Message, handle: Mapping[str, str]) -> Mapping[str, str]:
        fallback = self._fallback
        if fallback is not None and (fallback.alone or handle.get("webhook")):
            await self.pacer.turn()
            return await fallback.send(message, handle)
        try:
            return await self._send(message, handle)
        except NotTaken as error:
            # Only what Slack has certainly not taken: after silence the message may be out all the same.
            if fallback is None or handle.get("ts"):
                raise
            try:
                return await fallback.send(message, handle)
            except Undelivered as worse:
                raise Unreachable(f"{error}; and the incoming webhook: {worse}") from None

    async def _send(self, message: Message, handle: Mapping[str, str]) -> Mapping[str, str]:
        if not (handle.get("ts") and handle.get("channel")):
            return await self._post(message)
        try:
            await self._call(
                lambda body: self._client.chat_update(
                    channel=handle["channel"], ts=handle["ts"], parse="none", link_names=False, **body
                ),
                self._body(message),
            )
            if message.news:
                body = {"text": thread_fallback(message), "blocks": thread_blocks(message)}
                await self._call(
                    lambda body: self._client.chat_postMessage(
                        channel=handle["channel"], thread_ts=handle["ts"], parse="none", link_names=False, **body
                    ),
                    body,
                )
        except _LostMessage:
            return await self._post(message)
        return handle

    async def check(self) -> None:
        if self._fallback is not None and self._fallback.alone:
            return await self._fallback.check()
        try:
            await self._once(lambda: self._client.auth_test())
        except (_LostMessage, _BadContent) as error:
            raise Unreachable(f"{self._settings.base_url} answers {error} to auth.test") from None

    async def close(self) -> None:
        return None

    async def _post(self, message: Message) -> Mapping[str, str]:
        answer = await self._call(
            lambda body: self._client.chat_postMessage(
                channel=self._settings.channel,
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
                **body,
            ),
            self._body(message),
        )
        channel, ts = answer.get("channel"), answer.get("ts")
        if not (isinstance(channel, str) and isinstance(ts, str)):
            raise Unreachable(f"{self._settings.base_url} answers, but not as Slack does: is base_url right?")
        return {"channel": channel, "ts": ts}

    def _body(self, message: Message) -> dict[str, Any]:
        return {"text": fallback(message), "blocks": message_blocks(message, self._with_button)}

    async def _call(self, call: Callable[[dict[str, Any]], SlackResponse], body: dict[str, Any]) -> SlackResponse:
        """One call at its turn; a layout that Slack refuses is sent once more as bare text."""
        try:
            return await self._once(lambda: call(body))
        except _BadContent:
            try:
                return await self._once(lambda: call({"text": body["text"], "blocks": []}))
            except _BadContent as error:
                raise Refused(f"Slack does not take the message ({error})") from None

    async def _once(self, call: Callable[[], SlackResponse]) -> SlackResponse:
        await self.pacer.turn()
        try:
            # The client's timeout is per socket operation; a server that trickles bytes would outlast it.
            return await self._calls.call(call, self._settings.timeout_s * 1.5)
        except SlackApiError as error:
            raise _meaning(error.response, self._settings.base_url) from None
        except (TimeoutError, OSError, http.client.HTTPException, ssl.SSLError, SlackClientError, ValueError) as error:
            what = one_line(f"{type(error).__name__} {error}", 200)
            text = f"{self._settings.base_url} cannot be reached ({what})"
            raise (NotTaken if _never_sent(error) else Unreachable)(text) from None


def _never_sent(error: BaseException) -> bool:
    """No connection was made, so nothing can have been taken."""
    reason = getattr(error, "reason", error)
    return isinstance(reason, ConnectionRefusedError | socket.gaierror | ssl.SSLCertVerificationError)


class NotTaken(Unreachable):
    """Unreachable, and certainly not posted."""


class _LostMessage(Exception):
    pass


class _BadContent(Exception):
    pass


def _meaning(answer: Any, base_url: str) -> Exception:
    """What Slack's refusal means for us. `answer`: a SlackResponse, or whatever the client made of it."""
    status = int(getattr(answer, "status_code", 0) or 0)
    data = getattr(answer, "data", answer)
    code = data.get("error", "") if isinstance(data, dict) else ""
    code = one_line(str(code), 80) or f"HTTP {status}"
    if status == 429 or code in ("ratelimited", "rate_limited"):
        headers = getattr(answer, "headers", None) or {}
        return Later("Slack asks for quiet (rate limit)", _retry_after_s(headers))
    if code in _LOST:
        return _LostMessage(code)
    if code in _CONTENT:
        return _BadContent(code)
    if code in _SET_UP:
        return NotTaken(f"{base_url} answers {code}: {_SET_UP[code]}")
    if status >= 500 or code in ("internal_error", "fatal_error", "service_unavailable", "request_timeout"):
        return Unreachable(f"{base_url} answers {code} (HTTP {status})")
    if status in (401, 403, 404, 405, 407) or 300 <= status < 400:
        return NotTaken(f"{base_url} answers HTTP {status}: is base_url right?")
    if status == 200 and (not isinstance(data, dict) or code.startswith("Received a response in a non-JSON")):
        return Unreachable(f"{base_url} answers, but not as Slack does: is base_url right?")
    return Deferred(f"Slack answers {code} (HTTP {status})")


def _silent_log() -> logging.Logger:
    """slack_sdk logs every failed call; the chain says a failure once, when it begins."""
    log = logging.getLogger("faultline.alerts.slack_sdk")
    log.setLevel(logging.CRITICAL)
    return log


def _retry_after_s(headers: Mapping[str, Any]) -> float:
    for name, value in headers.items():
        if str(name).lower() == "retry-after":
            try:
                seconds = float(value[0] if isinstance(value, list) else value)
            except (TypeError, ValueError):
                break
            if 0 <= seconds < float("inf"):
                return min(max(seconds, 1.0), RETRY_AFTER_MOST_S)
    return RETRY_AFTER_DEFAULT_S
