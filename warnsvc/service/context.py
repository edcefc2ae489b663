"""What every service function is handed: the store, the clock, the settings, the renderer.

Made once, by the composition root. It holds no state of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from channels.base import Capabilities
from warnsvc.clock import Clock
from warnsvc.core.bulletin import Bulletin
from warnsvc.core.pack import DEFAULT_PACK, Pack, Rule, rule_for
from warnsvc.render import Renderer
from warnsvc.service.fleet import Fleet
from warnsvc.service.measure import Measures
from warnsvc.settings import Settings
from warnsvc.store.port import Store
from warnsvc.token import read_token, sign_token

WAKE_WORK = "work"
"""There is something to decide or to send."""
WAKE_FACTS = "facts"
"""Carriers have told us something."""
WAKE_BOARD = "board"
"""There is something new to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The house as its services see it. `keys`: the signing key first, then the one before."""

    store: Store
    clock: Clock
    settings: Settings
    renderer: Renderer
    capabilities: Mapping[str, Capabilities]
    """Channel kind → what the first carrier of its route can do."""
    keys: Sequence[bytes]
    pack: Pack = DEFAULT_PACK
    fleet: Fleet = field(default_factory=lambda: Fleet({}))
    """The carriers, and which of them are tried for what."""
    measures: Measures = field(default_factory=Measures)

    def local_day(self, at: datetime) -> date:
        """The desk's calendar day at an instant."""
        return at.astimezone(self.settings.zone).date()

    def rule(self, bulletin: Bulletin, at: datetime) -> Rule:
        """The rule that would hold if the bulletin were released at this instant."""
        hour = at.astimezone(self.settings.zone).hour
        return rule_for(self.pack, hazard=bulletin.hazard, colour=bulletin.colour, local_hour=hour)

    def token(self, kind: str, row_id: int) -> str:
        """Return the signed token of an attempt or a callout."""
        return sign_token(self.keys[0], kind, row_id)

    def read_token(self, kind: str, token: str) -> int | None:
        """Return the id a token names, or None."""
        return read_token(self.keys, kind, token)
