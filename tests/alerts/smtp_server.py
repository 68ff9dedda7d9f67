"""A real SMTP server (aiosmtpd) on loopback: with STARTTLS and login on demand, refusing and deferring on demand."""

import ssl
import subprocess
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "faultline", "correct horse"


class Mailbox:
    """`replies`: SMTP replies to the next mails instead of taking them. `recipient_replies`: per address."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.recipients: list[list[str]] = []
        self.encrypted: list[bool] = []
        self.replies: list[str] = []
        self.recipient_replies: dict[str, list[str]] = {}

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.recipient_replies.get(address):
            return self.recipient_replies[address].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.replies:
            return self.replies.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.raw.append(content)
        self.recipients.append(list(envelope.rcpt_tos))
        self.encrypted.append(session.ssl is not None)
        return "250 taken"


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, as (certificate, key)."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


class _FreePort(Controller):
    """A Controller that may be given port 0."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class SmtpServer:
    """Starts at once. `tls`: (certificate, key); then STARTTLS is required, and a login after it if `login`."""

    def __init__(self, tls: tuple[Path, Path] | None = None, login: bool = False) -> None:
        self.box = Mailbox()
        options: dict[str, Any] = {}
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            options = {"tls_context": context, "require_starttls": True}
        if login:
            options |= {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": True}
        self._controller = _FreePort(self.box, hostname="127.0.0.1", port=0, **options)
        self._controller.start()
        self.port: int = self._controller.port

    def close(self) -> None:
        self._controller.stop()


def _authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)  # the server answers for us
