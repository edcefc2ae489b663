"""The secrets of a contact's endpoints, for an administrator who sets one up over there.

They are derived from a channel's secret and the address (`channels.webhook_secret`), so nothing is
stored and nothing can be lost; a changed address has another. Whoever looked is written down. It
never changes anything.
"""

from dataclasses import dataclass, field

from channels.base import KnowsEndpoints
from contacts.contact import NumberKind
from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal
from warnsvc.service.context import Context
from warnsvc.service.officer import actor
from warnsvc.store.ledger import append_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSecret:
    """What must be typed in at one endpoint, for what one carrier sends to it."""

    carrier: str
    rank: int
    address: str
    secret: str = field(repr=False)


async def reveal_secrets(
    ctx: Context, *, officer: int, contact_id: int
) -> tuple[EndpointSecret, ...]:
    """Return the secrets of a contact's endpoints, and write down who looked. Raises Refusal."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        rows = await unit.fetch(
            "SELECT rank, address FROM contact_number WHERE contact_id = $1 AND kind = $2"
            " ORDER BY rank",
            contact_id,
            NumberKind.WEBHOOK.value,
        )
        found = tuple(
            EndpointSecret(carrier=name, rank=row["rank"], address=row["address"], secret=secret)
            for row in rows
            for name, secret in _secrets(ctx, row["address"])
        )
        if not found:
            raise Refusal("endpoint_has_no_secret")
        line = Line(act="secret.revealed", actor=actor(officer), data={"contact": contact_id})
        await append_lines(unit, [line], now=now)
    return found


def _secrets(ctx: Context, address: str) -> list[tuple[str, str]]:
    """Return (carrier, secret) of every carrier that sends to endpoints."""
    known = ctx.fleet.of_kind(NumberKind.WEBHOOK.value)
    try:
        return [
            (channel.name, channel.endpoint_secret(address))
            for channel in known
            if isinstance(channel, KnowsEndpoints)
        ]
    except ValueError:  # an address of before, which no carrier would take
        return []
