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


async def session_counts(ctx: Context, *, now: datetime) -> dict[int, int]:
    """Return officer → how many logins are good now."""
    idle_since = now - timedelta(minutes=ctx.settings.session_idle_minutes)
    async with ctx.store.view() as view:
        rows = await view.fetch(
            "SELECT officer_id, count(*) AS n FROM session WHERE revoked_at IS NULL"
            " AND expires_at > $1 AND last_seen_at > $2 GROUP BY officer_id",
            now,
            idle_since,
        )
    return {row["officer_id"]: int(row["n"]) for row in rows}
