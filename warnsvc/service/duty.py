"""Leader duties: a lease row says who runs a periodic duty, and its fence only grows.

On one process this always says yes; on several it keeps them from doing the same work at once. A
duty must still be safe if two run it: a lease can end while its holder is paused.
"""

from datetime import timedelta

from warnsvc.service.context import Context


async def hold(ctx: Context, name: str, *, owner: str, seconds: float) -> bool:
    """Take or keep a duty for so long; False while somebody else has it."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        taken = await unit.execute(
            "INSERT INTO duty (name, owner, fence, lease_until) VALUES ($1, $2, 1, $3)"
            " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner,"
            " lease_until = excluded.lease_until,"
            " fence = duty.fence + CASE WHEN duty.owner = excluded.owner THEN 0 ELSE 1 END"
            " WHERE duty.owner = excluded.owner OR duty.lease_until <= $4",
            name, owner, now + timedelta(seconds=seconds), now,
        )
    return taken == 1
