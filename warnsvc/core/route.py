"""Routes: which carriers are tried for an address, in which order, and when the next one is.

    rules ──(channel, country, language)──► the first rule that fits ──► its carriers, in order
    refused · its circuit is open · no receipt within so many seconds ──► the next carrier

What was tried and not taken is remembered with the send (`refused_by`), so no carrier is asked
twice for the same thing while another is left. A call is never placed a second time for want of a
receipt: a second text is a nuisance, a second ringing phone at night is not believed.
No clock, no database, no network.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

ANY = "*"
RECEIPT_SECONDS_MAX = 3_600
"""After an hour a window is over."""

ELSEWHERE = frozenset(
    {"unroutable", "filtered", "config", "down", "throttled", "expired", "other"}
)
"""Classes of errors that are this carrier's, and perhaps not the next one's. A number that does not
exist, a phone that is off or a person who has opted out is the same for all of them."""
CALLEE_LIMIT = "callee_limit"
"""Not an error: this carrier must not call that number again for a while."""
PASSING = frozenset({"down", "throttled", "config", CALLEE_LIMIT})
"""Refusals that say nothing of the text: once nobody else is left, who gave one is asked again."""
_MARK = "~"
"""Behind a name in `refused_by`: for a passing reason."""
TAKES_A_COPY = frozenset({"sms", "webhook"})
"""Channels on which a second copy does no harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """Carriers for a channel, for country calling codes and languages; the first one that fits."""

    kind: str
    carriers: tuple[str, ...]
    countries: frozenset[str] = frozenset({ANY})
    languages: frozenset[str] = frozenset({ANY})
    receipt_seconds: int = 0
    """After so long without a word that it arrived, the next carrier is tried; 0: never."""

    def fits(self, kind: str, address: str, language: str) -> bool:
        """Whether it is for this. An empty address or language stands for any."""
        return (
            self.kind == kind
            and (not address or in_country(address, self.countries))
            and (not language or not self.languages.isdisjoint({ANY, language}))
        )


def in_country(address: str, countries: Collection[str]) -> bool:
    """Whether an address (E.164, or a URL) belongs to any of these country calling codes."""
    digits = address.lstrip("+")
    return any(code == ANY or digits.startswith(code) for code in countries)


def rule_of(
    rules: Iterable[RouteRule], kind: str, address: str, language: str
) -> RouteRule | None:
    """Return the first rule that fits."""
    return next((rule for rule in rules if rule.fits(kind, address, language)), None)


def left(route: Sequence[str], refused_by: str) -> list[str]:
    """Return the carriers of a route that have not refused."""
    refused = refused_of(refused_by)
    return [name for name in route if name not in refused]


def refused_of(refused_by: str) -> frozenset[str]:
    """Read what is stored with a send."""
    return frozenset(name.rstrip(_MARK) for name in refused_by.split(",") if name)


def with_refusal(refused_by: str, carrier: str, *, why: str = "") -> str:
    """Return it with one more carrier. `why`: the class of the error."""
    if carrier in refused_of(refused_by):
        return refused_by
    name = carrier + _MARK if why in PASSING else carrier
    return f"{refused_by},{name}" if refused_by else name


def forgiven(refused_by: str) -> str:
    """Return it without those who refused for a passing reason."""
    return ",".join(name for name in refused_by.split(",") if not name.endswith(_MARK))


def next_after(route: Sequence[str], refused_by: str, carrier: str) -> str | None:
    """Return who is tried when this carrier has not taken it, or None: nobody is left."""
    return next(iter(left(route, with_refusal(refused_by, carrier))), None)


def share(
    routes: Sequence[Sequence[str]],
    *,
    room: Mapping[str, int],
    probes: Mapping[str, int],
) -> list[str | None]:
    """Give each send the first carrier of its route that works; None: it must wait for one.

    `room`: how many sends each working carrier has slots for. A carrier that is full is waited
    for: the order of a route is somebody's decision, and only what is broken changes it. `probes`:
    carriers whose circuit is open and how many sends may be risked to find out; they get the last
    and least urgent ones, unless nobody else can take them.
    """
    free, risk = dict(room), dict(probes)
    given: list[str | None] = []
    for route in routes:
        working = next((name for name in route if name in free), None)
        taken = working if working is not None and free[working] > 0 else None
        if working is None:
            taken = next((name for name in route if risk.get(name, 0) > 0), None)
            if taken is not None:
                risk[taken] -= 1
        elif taken is not None:
            free[taken] -= 1
        given.append(taken)
    for place in reversed(range(len(routes))):
        before = routes[place][: _place(routes[place], given[place])]
        wanted = next((name for name in before if risk.get(name, 0) > 0), None)
        if wanted is not None:
            risk[wanted] -= 1
            given[place] = wanted
    return given


def _place(route: Sequence[str], carrier: str | None) -> int:
    return route.index(carrier) if carrier is not None else 0
