"""Secrets on disk: reading a secret's file, and the key that signs our tokens.

The key comes from the settings. An install on SQLite that has none gets one made at first start,
readable by its owner only. On PostgreSQL none is made: several processes must share one key, and
two hosts that each made their own would refuse each other's answers in silence.
"""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warnsvc.settings import Settings

SECRET_FILE_BYTES_MAX = 65_536
"""A secret is a line, or a key in PEM; anything longer is the wrong file."""

SECRET_KEY_BYTES = 32
"""What is drawn for a new key: as much as the signature's hash can use."""


class SettingsFault(Exception):
    """The settings cannot be used. The message has one line per mistake and shows no value."""


def signing_secrets(settings: "Settings") -> tuple[bytes, ...]:
    """Return the keys that sign tokens: the present one, then the one before when there is one.

    Raises SettingsFault when there is none yet.
    """
    present = (
        settings.secret_key.get_secret_value()
        if settings.secret_key is not None
        else _read_made_key(settings.secret_key_path)
    )
    before = settings.previous_secret_key
    keys = [present] if before is None else [present, before.get_secret_value()]
    return tuple(key.encode() for key in keys)


def make_secret_key(settings: "Settings") -> Path | None:
    """Make the key that nobody configured. Return its path, or None when there was no need.

    Raises SettingsFault on PostgreSQL, where every process must be given the same key.
    """
    path = settings.secret_key_path
    if settings.secret_key is not None or path.exists():
        return None
    if settings.database_address.startswith("postgresql://") and not settings.demo:
        raise SettingsFault("secret_key is not set; on PostgreSQL every process needs the same one")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was quicker, and its key is as good
        return None
    with os.fdopen(file, "w") as writer:
        writer.write(secrets.token_urlsafe(SECRET_KEY_BYTES) + "\n")
        writer.flush()
        os.fsync(writer.fileno())
    return path


def read_secret(path: Path) -> str:
    """Return the text of a secret's file, without white space around it. Raises ValueError."""
    try:
        with path.open("rb") as file:
            content = file.read(SECRET_FILE_BYTES_MAX + 1)
    except OSError as fault:
        raise ValueError(f"the secret file {path} cannot be read: {fault.strerror}") from fault
    if len(content) > SECRET_FILE_BYTES_MAX:
        raise ValueError(f"the secret file {path} is too long to be a secret")
    try:
        text = content.decode().strip()
    except UnicodeDecodeError as fault:
        raise ValueError(f"the secret file {path} is not text") from fault
    if not text:
        raise ValueError(f"the secret file {path} is empty")
    return text


def _read_made_key(path: Path) -> str:
    try:
        return read_secret(path)
    except ValueError as fault:
        raise SettingsFault(
            f"secret_key is not set and {fault}; `warnsvc db init` makes one"
        ) from fault
