"""Logins: a random token in a cookie, its SHA-256 in a row, gone the moment somebody ends it.

A login ends when it is ended, when nobody has used it for a while, at an absolute age, and when its
officer is disabled. Each has a CSRF token of its own. Wrong passwords are counted at the officer:
five lock the account for a while, so that a guesser gets twenty tries an hour. An open login is not
touched by that lock: locking must not throw out whoever is on duty.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal
from warnsvc.service.context import Context
from warnsvc.service.officer import Officer, actor, end_sessions, officer_of
from warnsvc.service.password import hash_password, is_outdated, matches
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Row, Unit
from warnsvc.store.table import SessionRow

FAILURES_MAX = 5
"""GB/T 22239-2019 8.1.4.1 and reliability.md §4.3."""
LOCK_MINUTES = 15
"""Long enough to stop guessing, short enough not to lose a shift."""
TOKEN_BYTES = 32
"""256 bits; 128 would do."""
SEEN_SECONDS = 60
"""The use of a login is written down at most this often: pages are many, writes are dear."""
SESSIONS_MAX = 20
"""Open logins per officer; the oldest ends when one more begins."""
AGENT_CHARS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login that is good now."""

    token_hash: str
    officer: Officer
    csrf_token: str
    language: str
    created_at: datetime
    last_seen_at: datetime
    ends_at: datetime
    """When it ends if nothing more is done."""


def token_hash(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


async def log_in(
    ctx: Context, *, login: str, password: str, agent: str, language: str
) -> tuple[str, Session]:
    """Return the token for the cookie and the login. Raises Refusal."""
    now = ctx.clock.now()
    row = await _find(ctx, login.strip().casefold())
    if row is not None and row["locked_until"] is not None and row["locked_until"] > now:
        raise Refusal("login_locked", minutes=_minutes(row["locked_until"] - now))
    right = await matches(password, None if row is None else row["password_hash"])
    if row is None:
        raise Refusal("login_wrong")
    if not right:
        locked = await _count_failure(ctx, row["id"], now=now)
        raise Refusal("login_locked", minutes=LOCK_MINUTES) if locked else Refusal("login_wrong")
    if row["disabled"]:
        raise Refusal("login_disabled")
    fresh = await hash_password(password) if is_outdated(row["password_hash"]) else None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await _open(ctx, row["id"], token, agent=agent, language=language, fresh_hash=fresh, now=now)
    session = await session_of(ctx, token)
    if session is None:  # disabled between the two transactions
        raise Refusal("login_disabled")
    return token, session


async def session_of(ctx: Context, token: str) -> Session | None:
    """Return the login that this token opens now, or None."""
    return await session_by_hash(ctx, token_hash(token))


async def session_by_hash(ctx: Context, hashed: str) -> Session | None:
    """Return the login with this stored hash if it is good now: for streams that stay open."""
    now = ctx.clock.now()
    async with ctx.store.view() as view:
        row = await view.fetch_one(
            "SELECT o.*, s.token_hash, s.csrf_token, s.language, s.created_at AS began_at,"
            " s.last_seen_at, s.expires_at"
            " FROM session s JOIN officer o ON o.id = s.officer_id"
            " WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > $2",
            hashed,
            now,
        )
    if row is None or row["disabled"]:
        return None
    idle_until = row["last_seen_at"] + timedelta(minutes=ctx.settings.session_idle_minutes)
    if idle_until <= now:
        return None
    return Session(
        token_hash=row["token_hash"],
        officer=officer_of(row),
        csrf_token=row["csrf_token"],
        language=row["language"],
        created_at=row["began_at"],
        last_seen_at=row["last_seen_at"],
        ends_at=min(idle_until, row["expires_at"]),
    )


async def keep_alive(ctx: Context, session: Session) -> None:
    """Write down that the login was used, at most once a minute."""
    now = ctx.clock.now()
    if (now - session.last_seen_at).total_seconds() < SEEN_SECONDS:
        return
    async with ctx.store.unit() as unit:
        await unit.execute(
            "UPDATE session SET last_seen_at = $1 WHERE token_hash = $2 AND revoked_at IS NULL",
            now,
            session.token_hash,
        )


async def log_out(ctx: Context, session: Session) -> None:
    """End this login."""
    await revoke(ctx, officer_id=session.officer.id, hashed=session.token_hash)


async def revoke(ctx: Context, *, officer_id: int, hashed: str) -> bool:
    """End one login of an officer. Returns whether there was one."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        ended = await unit.execute(
            "UPDATE session SET revoked_at = $1"
            " WHERE token_hash = $2 AND officer_id = $3 AND revoked_at IS NULL",
            now,
            hashed,
            officer_id,
        )
        if ended:
            line = Line(
                act="officer.logged_out", actor=actor(officer_id), data={"officer": officer_id}
            )
            await append_lines(unit, [line], now=now)
    return bool(ended)


async def revoke_all(ctx: Context, *, by: int, officer_id: int, but: str = "") -> int:
    """End every login of an officer, except perhaps the one in use; return how many."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        ended = await end_sessions(unit, officer_id, now=now, but=but)
        data = {"officer": officer_id, "ended": ended}
        line = Line(act="officer.sessions_ended", actor=actor(by), data=data)
        await append_lines(unit, [line], now=now)
    return ended


async def choose_language(ctx: Context, session: Session, language: str) -> None:
    """Remember the language of this login's pages."""
    async with ctx.store.unit() as unit:
        await unit.execute(
            "UPDATE session SET language = $1 WHERE token_hash = $2", language, session.token_hash
        )


async def _find(ctx: Context, login: str) -> Row | None:
    async with ctx.store.view() as view:
        return await view.fetch_one("SELECT * FROM officer WHERE login = $1", login)


async def _count_failure(ctx: Context, officer_id: int, *, now: datetime) -> bool:
    """Count a wrong password and return whether the account is locked by it."""
    async with ctx.store.unit() as unit:
        # The lock that has run out starts a new count, in the same statement: two guessers at once
        # are both counted.
        row = await unit.fetch_one(
            "UPDATE officer SET locked_until = NULL, failed_logins ="
            " CASE WHEN locked_until IS NULL THEN failed_logins + 1 ELSE 1 END"
            " WHERE id = $1 AND (locked_until IS NULL OR locked_until <= $2)"
            " RETURNING failed_logins",
            officer_id,
            now,
        )
        if row is None:  # another wrong try has just locked it
            return True
        locked = int(row["failed_logins"]) >= FAILURES_MAX
        if locked:
            await unit.execute(
                "UPDATE officer SET locked_until = $1, failed_logins = 0 WHERE id = $2",
                now + timedelta(minutes=LOCK_MINUTES),
                officer_id,
            )
        act = "officer.locked" if locked else "officer.login_failed"
        await append_lines(unit, [Line(act=act, data={"officer": officer_id})], now=now)
    return locked


async def _open(
    ctx: Context,
    officer_id: int,
    token: str,
    *,
    agent: str,
    language: str,
    fresh_hash: str | None,
    now: datetime,
) -> None:
    async with ctx.store.unit() as unit:
        await unit.execute(
            "UPDATE officer SET failed_logins = 0, locked_until = NULL,"
            " password_hash = COALESCE($1::text, password_hash) WHERE id = $2",
            fresh_hash,
            officer_id,
        )
        await _end_oldest(unit, officer_id, now=now)
        await unit.add(
            SessionRow(
                token_hash=token_hash(token),
                officer_id=officer_id,
                csrf_token=secrets.token_urlsafe(TOKEN_BYTES),
                created_at=now,
                last_seen_at=now,
                expires_at=now + timedelta(minutes=ctx.settings.session_absolute_minutes),
                agent=agent[:AGENT_CHARS_MAX],
                language=language,
            )
        )
        line = Line(act="officer.logged_in", actor=actor(officer_id), data={"officer": officer_id})
        await append_lines(unit, [line], now=now)


async def _end_oldest(unit: Unit, officer_id: int, *, now: datetime) -> None:
    """Keep the number of open logins below its maximum, this new one included."""
    await unit.execute(
        "UPDATE session SET revoked_at = $1 WHERE token_hash IN ("
        " SELECT token_hash FROM session WHERE officer_id = $2 AND revoked_at IS NULL"
        " ORDER BY created_at DESC LIMIT 1000 OFFSET $3)",
        now,
        officer_id,
        SESSIONS_MAX - 1,
    )


def _minutes(length: timedelta) -> int:
    return max(1, -(-int(length.total_seconds()) // 60))
