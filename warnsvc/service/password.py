"""Passwords: what is accepted, and argon2id beside the event loop.

A hash takes 20 MB and some 30 ms, so two threads make them and no more than a few callers may wait:
a flood of logins must not take the memory or the time of a warning under way. It never stores
anything and never says which part of a login was wrong.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import Type

from warnsvc.core.refusal import Refusal

T = TypeVar("T")

THREADS = 2
"""Hashes at once: two of 20 MB each beside an engine that should stay below 250 MB."""
WAITING_MAX = 20
"""Callers in line; the next is told to try again, because 0.5 s of hashing lies before him."""
PASSWORD_CHARS_MIN = 8
"""GB/T 22239-2019 8.1.4.1 asks for eight; length is what a guesser pays for."""
PASSWORD_CHARS_MAX = 200
"""Longer ones only cost memory."""
DIFFERENT_CHARS_MIN = 5
"""`aaaaaaaa` and `12121212` are eight characters too."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)
"""OWASP's least memory for argon2id."""
_NOBODY = (
    "$argon2id$v=19$m=19456,t=2,p=1$04XBvGEoWtIC7uq0sJpHfQ$"
    "fzTHKfo8GXkmwuOlUkHGBlybDPQwoYHl2fOo5jt6PYk"
)
"""The hash of a login that does not exist, so that refusing it takes as long."""

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
_waiting = 0


def check_password(password: str, *, login: str, field: str = "password") -> None:
    """Raise Refusal when a new password is not good enough."""
    if len(password) < PASSWORD_CHARS_MIN:
        raise Refusal("password_too_short", field=field, least=PASSWORD_CHARS_MIN)
    if len(password) > PASSWORD_CHARS_MAX:
        raise Refusal("password_too_long", field=field, most=PASSWORD_CHARS_MAX)
    if len(set(password)) < DIFFERENT_CHARS_MIN or login.casefold() == password.casefold():
        raise Refusal("password_too_plain", field=field)


async def hash_password(password: str) -> str:
    """Return the argon2id hash. Raises Refusal when too many are waiting."""
    return await _in_turn(lambda: _HASHER.hash(password))


async def matches(password: str, password_hash: str | None) -> bool:
    """Return whether the password is the hashed one; as slow when there is no hash at all."""
    if len(password) > PASSWORD_CHARS_MAX:
        return False
    return await _in_turn(lambda: _verify(password, password_hash or _NOBODY))


def is_outdated(password_hash: str) -> bool:
    """Return whether the hash was made with weaker settings than today's."""
    try:
        return _HASHER.check_needs_rehash(password_hash)
    except InvalidHashError:
        return True


def _verify(password: str, password_hash: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError):
        return False  # a hash that cannot be read lets nobody in; an administrator resets it


async def _in_turn(work: Callable[[], T]) -> T:
    global _waiting  # noqa: PLW0603 - one line of callers for the whole process
    if _waiting >= WAITING_MAX:
        raise Refusal("logins_too_many")
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        _waiting -= 1
