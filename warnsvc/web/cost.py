"""By which carrier a bulletin goes and what that costs: before it is released, and after.

    before    texts × people × parts × price of the route's first carrier
    after     what was really taken, by carrier, × its price

Prices are the operator's own figures (`price` of a carrier); without one the cost is not known and
nothing is invented. An estimate for a decision, never a bill: the carrier's bill is what is true.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from channels.base import ChannelKind
from warnsvc.service.context import Context
from warnsvc.service.preview import PreviewMessage
from warnsvc.store.port import Row, Unit
from warnsvc.web.capability import home_code

CALLS = "call"
"""The form of a text that asks for an answer: carriers that bring none are passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one unit costs."""

    amount: float
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """What goes one way. `units`: SMS parts, calls or requests in all."""

    channel: str
    language: str
    """Empty after the release: all of them together."""
    carriers: tuple[str, ...]
    parts: int
    people: int
    units: int
    price: Price | None
    """None: nobody has told us."""

    @property
    def is_billed(self) -> bool:
        """Whether somebody charges for it: nobody does for a request to an endpoint."""
        return self.channel != ChannelKind.WEBHOOK

    @property
    def cost(self) -> float | None:
        """The cost in `price.currency`, when the price is known."""
        return None if self.price is None else self.units * self.price.amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Every line, and the sums by currency. `whole`: every line that is billed has a price."""

    lines: tuple[CostLine, ...]
    sums: Mapping[str, float]
    whole: bool


def foreseen_costs(ctx: Context, messages: Sequence[PreviewMessage]) -> Costs:
    """Return what the first round would cost, at the first carrier of each route."""
    prices = prices_of(ctx)
    return _summed([_foreseen(ctx, message, prices) for message in messages if message.people])


def _foreseen(ctx: Context, message: PreviewMessage, prices: Mapping[str, Price]) -> CostLine:
    is_web = message.channel == ChannelKind.WEBHOOK
    address = "" if is_web else f"+{home_code(ctx.settings.local_country)}"
    route = ctx.fleet.route(message.channel, address, message.language, CALLS)
    parts = message.parts if message.channel == ChannelKind.SMS else 1
    return CostLine(
        channel=message.channel,
        language=message.language,
        carriers=tuple(route),
        parts=parts,
        people=message.people,
        units=parts * message.people,
        price=prices.get(route[0]) if route else None,
    )


async def costs_so_far(ctx: Context, view: Unit, bulletin_id: int) -> Costs:
    """Return what carriers have taken of a bulletin, and what that costs at their prices."""
    rows = await view.fetch(
        "SELECT a.carrier, a.channel, count(*) AS sends, "
        " sum(CASE WHEN a.parts > 0 THEN a.parts ELSE m.parts END) AS parts"
        " FROM attempt a JOIN message m ON m.id = a.message_id"
        " WHERE a.bulletin_id = $1 AND a.carrier IS NOT NULL"
        " AND a.state IN ('accepted', 'delivered', 'undelivered')"
        " GROUP BY a.carrier, a.channel ORDER BY a.channel, a.carrier",
        bulletin_id,
    )
    prices = prices_of(ctx)
    return _summed([_taken(row, prices) for row in rows])


def _taken(row: Row, prices: Mapping[str, Price]) -> CostLine:
    is_sms = row["channel"] == ChannelKind.SMS
    return CostLine(
        channel=row["channel"],
        language="",
        carriers=(row["carrier"],),
        parts=0,
        people=int(row["sends"]),
        units=int(row["parts"] if is_sms else row["sends"]),
        price=prices.get(row["carrier"]),
    )


def prices_of(ctx: Context) -> dict[str, Price]:
    """Return carrier → price; a price of 0 means that nobody has told us."""
    return {
        carrier.name: Price(amount=carrier.price, currency=carrier.currency)
        for carrier in ctx.settings.carriers
        if carrier.price > 0
    }


def _summed(lines: Iterable[CostLine]) -> Costs:
    listed = tuple(lines)
    sums: dict[str, float] = defaultdict(float)
    for line in listed:
        if line.price is not None:
            sums[line.price.currency] += line.units * line.price.amount
    return Costs(
        lines=listed,
        sums=dict(sums),
        whole=all(line.price is not None for line in listed if line.is_billed),
    )
