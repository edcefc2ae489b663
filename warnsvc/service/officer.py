"""Officers: who may log in, and what each may do.

    added ──► may log in ──5 wrong passwords──► locked for a while ──► may log in
                 │  ▲                             └──reset by an administrator──► may log in
               disabled, enabled

A person may hold several roles. Whoever is disabled, or gets a new password from somebody else,
loses his logins in the same transaction. Every act leaves a ledger line; no line and no log holds a
password. Logins themselves are in `warnsvc.service.session`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service.context import Context
from warnsvc.service.password import check_password, hash_password, matches
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import IntegrityFault, Row, Unit
from warnsvc.store.table import OfficerRow

LOGIN_CHARS_MAX = 60
NAME_CHARS_MAX = 80
POST_CHARS_MAX = 80
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}", re.ASCII)


class Role(StrEnum):
    """What an officer may do."""

    DUTY = "duty"
    """Writes and releases bulletins, lifts them, enters answers, works on tasks."""
    SIGNER = "signer"
    """Signs what another has written."""
    AUDITOR = "auditor"
    """Reads everything and exports the ledger; changes nothing."""
    ADMIN = "admin"
    """Keeps officers, regions and contacts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """Somebody who can log in."""

    id: int
    login: str
    name: str
    post: str
    roles: frozenset[Role]
    disabled: bool = False
    locked_until: datetime | None = None

    def may(self, *roles: Role) -> bool:
        """Return whether he holds one of these roles; with none named, anybody may."""
        return not roles or not self.roles.isdisjoint(roles)


def actor(officer_id: int) -> str:
    """Return how the ledger names an officer."""
    return f"officer:{officer_id}"


async def add_officer(
    ctx: Context,
    *,
    by: int | None,
    login: str,
    name: str,
    post: str = "",
    roles: Iterable[str],
    password: str,
) -> int:
    """Add an officer and return his id. `by` is None for the command line. Raises Refusals."""
    login = login.strip().casefold()
    chosen = _check(login=login, name=name, post=post, roles=roles, password=password)
    password_hash = await hash_password(password)
    now = ctx.clock.now()
    try:
        async with ctx.store.unit() as unit:
            officer_id = (await unit.new_ids("officer", 1))[0]
            await unit.add(
                OfficerRow(
                    id=officer_id,
                    login=login,
                    name=name.strip(),
                    post=post.strip(),
                    password_hash=password_hash,
                    roles=_words(chosen),
                    created_at=now,
                )
            )
            data = {"officer": officer_id, "roles": sorted(chosen)}
            await append_lines(unit, [Line(act="officer.added", actor=_by(by), data=data)], now=now)
    except IntegrityFault as fault:
        if fault.constraint != "uq_officer_login":
            raise
        raise Refusals((Refusal("login_taken", field="login"),)) from fault
    return officer_id


async def change_roles(
    ctx: Context, *, by: int | None, officer_id: int, roles: Iterable[str]
) -> None:
    """Give an officer these roles and no others. The last administrator stays one."""
    chosen = _roles(roles)
    if not chosen:
        raise Refusal("roles_missing", field="roles")
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        before = await _officer(unit, officer_id)
        if Role.ADMIN not in chosen:
            await _keep_one_administrator(unit, before)
        await unit.execute(
            "UPDATE officer SET roles = $1 WHERE id = $2", _words(chosen), officer_id
        )
        data = {"officer": officer_id, "roles": sorted(chosen)}
        line = Line(act="officer.roles_changed", actor=_by(by), data=data)
        await append_lines(unit, [line], now=now)


async def set_disabled(ctx: Context, *, by: int | None, officer_id: int, disabled: bool) -> None:
    """Shut an officer out at once, or let him in again."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        before = await _officer(unit, officer_id)
        if disabled:
            if officer_id == by:
                raise Refusal("cannot_disable_yourself")
            await _keep_one_administrator(unit, before)
        await unit.execute("UPDATE officer SET disabled = $1 WHERE id = $2", disabled, officer_id)
        if disabled:
            await end_sessions(unit, officer_id, now=now)
        act = "officer.disabled" if disabled else "officer.enabled"
        await append_lines(
            unit, [Line(act=act, actor=_by(by), data={"officer": officer_id})], now=now
        )


async def reset_password(ctx: Context, *, by: int | None, officer_id: int, password: str) -> None:
    """Give an officer a new password, unlock him and end his logins."""
    async with ctx.store.view() as view:
        officer = await _officer(view, officer_id)
    check_password(password, login=officer.login)
    password_hash = await hash_password(password)
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        await _set_password(unit, officer_id, password_hash)
        await end_sessions(unit, officer_id, now=now)
        line = Line(act="officer.password_reset", actor=_by(by), data={"officer": officer_id})
        await append_lines(unit, [line], now=now)


async def change_password(
    ctx: Context, *, officer_id: int, old: str, new: str, keep_session: str = ""
) -> None:
    """Change one's own password; every other login of his ends. Raises Refusal."""
    async with ctx.store.view() as view:
        officer = await _officer(view, officer_id)
        row = await view.fetch_one("SELECT password_hash FROM officer WHERE id = $1", officer_id)
    assert row is not None
    if not await matches(old, row["password_hash"]):
        raise Refusal("old_password_wrong", field="old")
    check_password(new, login=officer.login, field="new")
    password_hash = await hash_password(new)
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        await _set_password(unit, officer_id, password_hash)
        await end_sessions(unit, officer_id, now=now, but=keep_session)
        line = Line(
            act="officer.password_changed", actor=actor(officer_id), data={"officer": officer_id}
        )
        await append_lines(unit, [line], now=now)


async def get_officer(ctx: Context, officer_id: int) -> Officer:
    """Return an officer. Raises Refusal."""
    async with ctx.store.view() as view:
        return await _officer(view, officer_id)


async def find_officer(ctx: Context, login: str) -> Officer | None:
    """Return the officer with this login, or None: for the command line."""
    async with ctx.store.view() as view:
        row = await view.fetch_one(
            "SELECT * FROM officer WHERE login = $1", login.strip().casefold()
        )
    return None if row is None else officer_of(row)


def officer_of(row: Row) -> Officer:
    """Return the officer in a row of his table."""
    return Officer(
        id=row["id"],
        login=row["login"],
        name=row["name"],
        post=row["post"],
        roles=_roles(row["roles"].split(",")),
        disabled=row["disabled"],
        locked_until=row["locked_until"],
    )


async def end_sessions(unit: Unit, officer_id: int, *, now: datetime, but: str = "") -> int:
    """End every login of an officer except one, and return how many there were."""
    return await unit.execute(
        "UPDATE session SET revoked_at = $1"
        " WHERE officer_id = $2 AND revoked_at IS NULL AND token_hash <> $3",
        now,
        officer_id,
        but,
    )


async def _officer(unit: Unit, officer_id: int) -> Officer:
    row = await unit.fetch_one("SELECT * FROM officer WHERE id = $1", officer_id)
    if row is None:
        raise Refusal("no_such_officer")
    return officer_of(row)


async def _set_password(unit: Unit, officer_id: int, password_hash: str) -> None:
    await unit.execute(
        "UPDATE officer SET password_hash = $1, failed_logins = 0, locked_until = NULL"
        " WHERE id = $2",
        password_hash,
        officer_id,
    )


async def _keep_one_administrator(unit: Unit, officer: Officer) -> None:
    """Raise Refusal when nobody else could let officers in again."""
    if Role.ADMIN not in officer.roles:
        return
    rows = await unit.fetch("SELECT * FROM officer WHERE id <> $1", officer.id)
    if not any(Role.ADMIN in other.roles and not other.disabled for other in map(officer_of, rows)):
        raise Refusal("last_administrator")


def _check(
    *, login: str, name: str, post: str, roles: Iterable[str], password: str
) -> frozenset[Role]:
    """Return the roles. Raises Refusals with one refusal for every field that is wrong."""
    chosen = _roles(roles)
    wrong: list[Refusal] = []
    if not _LOGIN.fullmatch(login):
        wrong.append(Refusal("login_malformed", field="login", most=LOGIN_CHARS_MAX))
    if not name.strip():
        wrong.append(Refusal("name_missing", field="name"))
    elif len(name.strip()) > NAME_CHARS_MAX:
        wrong.append(Refusal("name_too_long", field="name", most=NAME_CHARS_MAX))
    if len(post.strip()) > POST_CHARS_MAX:
        wrong.append(Refusal("name_too_long", field="post", most=POST_CHARS_MAX))
    if not chosen:
        wrong.append(Refusal("roles_missing", field="roles"))
    try:
        check_password(password, login=login)
    except Refusal as refusal:
        wrong.append(refusal)
    if wrong:
        raise Refusals(tuple(wrong))
    return chosen


def _roles(words: Iterable[str]) -> frozenset[Role]:
    """Return the roles among the words; a word that is none is passed over."""
    return frozenset(role for role in Role if role.value in set(words))


def _words(roles: Iterable[Role]) -> str:
    return ",".join(role.value for role in Role if role in set(roles))


def _by(officer_id: int | None) -> str:
    return "system" if officer_id is None else actor(officer_id)
