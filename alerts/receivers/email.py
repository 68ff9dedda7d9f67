"""E-mail through an SMTP server: a mail when there is news, all of an incident in one thread.

A mail cannot be changed, so only what matters is sent. A recipient that the server defers (greylisting) is tried again
without bothering those who have the mail; one that it refuses is said once and does not hold up the others.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Mapping

import aiosmtplib

from alerts.message import Message
from alerts.receivers.base import Deferred, Pacer, Refused, Undelivered, Unreachable
from alerts.receivers.email_body import compose, subject_of
from alerts.settings import EmailSettings
from alerts.text import one_line
from monitor.clock import Clock
from monitor.secret import read_secret

_log = logging.getLogger("faultline.alerts")
_HALF_DONE_MOST = 1000
Replies = Mapping[str, tuple[int, str]]


class EmailReceiver:
    in_place = False
    summaries = True
    repeat_s = 0.0

    def __init__(self, settings: EmailSettings, clock: Clock, name: str = "email") -> None:
        """Raises SecretProblem when the password, ValueError when ca_file cannot be read."""
        self.name = name
        self.most_per_hour = settings.most_per_hour
        self._settings = settings
        self.update_s = settings.update_s
        self.pacer = Pacer(clock, settings.interval_s)
        self._password = read_secret(settings, "password", "alerts.email")
        self._tls = _tls_context(settings)
        self._have_it: dict[str, set[str]] = {}  # Message-ID and revision -> who has it, while others are deferred
        self._refused_said: set[str] = set()

    async def send(self, message: Message, handle: Mapping[str, str]) -> Mapping[str, str]:
        await self.pacer.turn()
        mail = compose(message, self._settings, handle)
        mail_id = str(mail["Message-ID"])
        await self._submit(mail.as_bytes(), f"{mail_id} {message.revision}")
        return {
            "message_id": handle.get("message_id", mail_id),
            "last_id": mail_id,
            "subject": handle.get("subject", subject_of(message)),
        }

    async def check(self) -> None:
        """Connect, encrypt and log in as for a mail, and leave again."""
        client = self._client()
        try:
            async with asyncio.timeout(self._settings.timeout_s * 3), client:
                await client.noop()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._meaning(error) from None
        finally:
            client.close()

    async def close(self) -> None:
        return None

    async def _submit(self, data: bytes, key: str) -> None:
        have_it = self._have_it.get(key, set())
        wanted = [address for address in self._settings.recipients if address not in have_it]
        refused = await self._talk(data, wanted)
        deferred = [address for address, (code, _) in refused.items() if code < 500]
        self._say_refused(wanted, refused)
        if not deferred:
            self._have_it.pop(key, None)
            return
        while len(self._have_it) >= _HALF_DONE_MOST:
            self._have_it.pop(next(iter(self._have_it)))
        self._have_it[key] = have_it | {address for address in wanted if address not in refused}
        raise Deferred(f"{self._where} defers {', '.join(deferred)}: {one_line(refused[deferred[0]][1], 200)}")

    async def _talk(self, data: bytes, recipients: list[str]) -> Replies:
        """One SMTP session; the recipients that were not taken, with the server's replies."""
        client = self._client()
        try:
            async with asyncio.timeout(self._settings.timeout_s * 3), client:
                refused, _ = await client.sendmail(self._settings.sender, recipients, data)
        except aiosmtplib.SMTPRecipientsRefused as error:
            replies = {one.recipient: (one.code, one.message) for one in error.recipients}
            if any(code < 500 for code, _ in replies.values()):
                return replies
            said = one_line(next(iter(replies.values()))[1], 200)
            raise Unreachable(f"{self._where} refuses every recipient ({said}): check recipients") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._meaning(error) from None
        finally:
            client.close()
        return {address: (reply.code, reply.message) for address, reply in refused.items()}

    def _client(self) -> aiosmtplib.SMTP:
        s = self._settings
        return aiosmtplib.SMTP(
            hostname=s.host,
            port=s.port,
            local_hostname=socket.gethostname() or "localhost",  # the default would ask the DNS, blocking
            timeout=s.timeout_s,
            use_tls=s.tls == "implicit",
            start_tls=s.tls == "starttls",
            tls_context=self._tls,
            username=s.username or None,
            password=self._password,
        )

    def _meaning(self, error: Exception) -> Undelivered:
        said = one_line(f"{type(error).__name__} {error}", 200)
        code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else 0
        if isinstance(error, aiosmtplib.SMTPAuthenticationError):
            return Unreachable(f"{self._where} refuses the login ({said}): check username and password_file")
        if isinstance(error, aiosmtplib.SMTPSenderRefused):
            return Unreachable(f"{self._where} refuses the sender {self._settings.sender} ({said}): check sender")
        if isinstance(error, aiosmtplib.SMTPDataError) and code != 421:
            if code >= 500:
                return Refused(f"{self._where} refuses the mail ({said})")
            return Deferred(f"{self._where} defers the mail ({said})")
        if isinstance(error, ssl.SSLCertVerificationError) or "certificate" in said.lower():
            return Unreachable(f"{self._where}: its certificate is not trusted ({said}): check host and ca_file")
        if "STARTTLS" in said:
            return Unreachable(f"{self._where} offers no STARTTLS ({said}): check port and tls")
        return Unreachable(f"{self._where} cannot be reached or does not answer as it should ({said})")

    def _say_refused(self, wanted: list[str], refused: Replies) -> None:
        """A recipient refused for good is said once; and may be said again after it has been taken."""
        for address in wanted:
            code, text = refused.get(address, (0, ""))
            if code < 500:
                self._refused_said.discard(address)
            elif address not in self._refused_said:
                self._refused_said.add(address)
                _log.warning("email: %s refuses %s (%s): check recipients", self._where, address, one_line(text, 200))

    @property
    def _where(self) -> str:
        return f"the SMTP server {self._settings.host}:{self._settings.port}"


def _tls_context(settings: EmailSettings) -> ssl.SSLContext | None:
    if settings.tls == "none":
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"alerts.email.ca_file: {settings.ca_file} cannot be read ({error})") from None
