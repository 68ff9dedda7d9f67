"""Secrets in settings: never literal, always `NAME_file` or `NAME_env`."""

import os
from pathlib import Path

import msgspec


class SecretProblem(ValueError):
    """A secret is configured but cannot be read. The text names the setting and what to do, never the secret."""


def read_secret(settings: msgspec.Struct, name: str, section: str) -> str | None:
    """The secret `name` of a settings struct that has the fields `NAME_file` and `NAME_env`.

    None when neither is set. `section` is only for the message. Raises SecretProblem.
    """
    file: str = getattr(settings, f"{name}_file")
    env: str = getattr(settings, f"{name}_env")
    if file and env:
        raise SecretProblem(f"{section}.{name}_file and {section}.{name}_env are both set: keep one")
    if file:
        try:
            text = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SecretProblem(f"{section}.{name}_file: {file} cannot be read ({error})") from None
        if not text:
            raise SecretProblem(f"{section}.{name}_file: {file} is empty")
        return text
    if env:
        text = os.environ.get(env, "").strip()
        if not text:
            raise SecretProblem(f"{section}.{name}_env: the environment variable {env} is not set")
        return text
    return None
