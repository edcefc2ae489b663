"""Officers and their logins, for the account page and the administrator's."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import col, select

from warnsvc.service.context import Context
from warnsvc.store.table import OfficerRow, SessionRow


async def open_sessions(ctx: Context, officer_id: int, *, now: datetime) -> Sequence[SessionRow]:
    """Return an officer's logins that are good now, the latest first."""
    idle_since = now - timedelta(minutes=ctx.settings.session_idle_minutes)
    async with ctx.store.read() as session:
        found = await session.exec(
            select(SessionRow)
            .where(SessionRow.officer_id == officer_id)
            .where(col(SessionRow.revoked_at).is_(None))
            .where(SessionRow.expires_at > now)
            .where(SessionRow.last_seen_at > idle_since)
            .order_by(col(SessionRow.last_seen_at).desc())
        )
        return found.all()


async def all_officers(ctx: Context) -> Sequence[OfficerRow]:
    """Return every officer, those who may log in first, by login."""
    async with ctx.store.read() as session:
        found = await session.exec(
            select(OfficerRow).order_by(col(OfficerRow.disabled), col(OfficerRow.login))
        )
        return found.all()


async def names_of(ctx: Context) -> dict[int, str]:
    """Return id → name of every officer: there are tens of them."""
    return {row.id: row.name for row in await all_officers(ctx)}
