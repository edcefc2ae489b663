"""The county's carriers as settings name them, so that services which read accounts find them.

    ctx = with_carriers(county, sms=Canary("+8615400009999", minutes=60))
"""

from dataclasses import dataclass, replace

from channels.base import Channel, ChannelKind
from tests.fakes.county import County
from warnsvc.service.context import Context
from warnsvc.service.fleet import Fleet
from warnsvc.settings import CarrierSettings

TEST_PHONE = "+8615400009999"
"""An invented number that belongs to nobody in the county."""


@dataclass(frozen=True, slots=True)
class Canary:
    """Who gets a carrier's canary, and how often."""

    to: str = TEST_PHONE
    minutes: int = 60


def with_carriers(county: County, *more: Channel, **canaries: Canary) -> Context:
    """Return the county's context with its carriers in the settings; `more` run as well."""
    accounts = tuple(
        CarrierSettings(
            name=channel.name,
            kind=ChannelKind(kind),
            adapter="http-gateway",
            canary_to=canaries[kind].to if kind in canaries else "",
            canary_minutes=canaries[kind].minutes if kind in canaries else 60,
        )
        for kind, channel in county.carriers.items()
    )
    running = {**county.ctx.fleet.channels, **{channel.name: channel for channel in more}}
    settings = county.ctx.settings.model_copy(update={"carriers": accounts})
    county.ctx = replace(county.ctx, settings=settings, fleet=Fleet(running))
    return county.ctx
