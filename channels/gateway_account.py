"""What an operator's settings say about a gateway, checked against what its profile asks for.

A fault is a sentence for the operator that names the parameter and never repeats a value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from yarl import URL

from channels.base import Capabilities, ChannelKind, PaceLimit, PerCalleeLimit
from channels.gateway_profile import LISTS, Limits, Profile

SECRET_CHARS_MIN = 8
"""Keys in callback addresses are made of the secret: a short one could be guessed from a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the operator set: who we are at this gateway."""

    channel: str
    base_url: str
    user: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    sender: str = ""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def secret(self) -> str:
        """The secret in force; others are good for callbacks only, during a rotation."""
        return self.secrets[0] if self.secrets else ""


def with_overrides(
    profile: Profile,
    *,
    batch_max: int,
    per_second: float,
    countries: frozenset[str],
    inbound_countries: frozenset[str],
) -> Profile:
    """Return the profile with what the operator's settings say otherwise."""
    if per_second < 0:
        raise ValueError("per_second must be above 0, or 0 for the profile's own")
    if not 0 <= batch_max <= (most := profile.batch.size_max if profile.batch else 1):
        raise ValueError(f"batch_max is 0 to {most}, which is what profile {profile.name} allows")
    batch = profile.batch if batch_max != 1 else None
    if batch is not None and batch_max:
        batch = replace(batch, size_max=batch_max)
    old = profile.limits
    limits: Limits = replace(
        old,
        per_second=per_second or old.per_second,
        countries=countries or old.countries,
        inbound_countries=inbound_countries or old.inbound_countries,
    )
    return replace(profile, limits=limits, batch=batch)


def capabilities_of(
    profile: Profile,
    sender: str,
    sender_per_second: float,
    per_callee: tuple[PerCalleeLimit, ...],
) -> Capabilities:
    limits = profile.limits
    pace = PaceLimit(name=f"sender:{sender}", per_second=sender_per_second)
    return Capabilities(
        kind=ChannelKind.SMS,
        countries=limits.countries,
        inbound_countries=limits.inbound_countries if profile.inbound else frozenset(),
        receipts=profile.receipts is not None,
        receipts_by_reference=_by_reference(profile),
        mixed_callbacks=_mixes(profile),
        links_allowed=limits.links_allowed,
        chars_max=limits.chars_max,
        batch_max=profile.batch.size_max if profile.batch else 1,
        per_second=limits.per_second,
        validity_seconds_min=limits.validity_seconds_min,
        validity_seconds_max=limits.validity_seconds_max,
        can_lookup=profile.lookup is not None,
        per_callee=per_callee,
        paces=(pace,) if sender_per_second > 0 else (),
    )


def _mixes(profile: Profile) -> bool:
    """Whether one callback may hold many things, and so both kinds, and what is neither."""
    kinds = (profile.receipts, profile.inbound)
    return any(kind.record.encoding in LISTS for kind in kinds if kind is not None)


def _by_reference(profile: Profile) -> bool:
    """Whether its receipts are posted to one address and name no token of ours."""
    rule = profile.receipts
    named = rule is None or rule.token_field or "callback_url" in str(profile.send)
    return not named and rule is not None and rule.reference is not None


def web_address(given: str) -> str:
    url = URL(given)
    if url.scheme not in ("http", "https") or not url.host or url.query_string or url.user:
        raise ValueError("base_url begins with http:// or https:// and has no user and no query")
    return given


def read_values(given: str | Mapping[str, str], profile: Profile) -> dict[str, str]:
    """Return the profile's own names with the operator's values. Never repeats a value."""
    read = dict(given) if isinstance(given, Mapping) else _split(given)
    if unknown := sorted(read.keys() - profile.values.keys()):
        raise ValueError(f"values: profile {profile.name} has no {unknown[0]}")
    made = {name: read.get(name, default) for name, default in profile.values.items()}
    if missing := [name for name, value in made.items() if value is None]:
        raise ValueError(f"values: profile {profile.name} needs {', '.join(missing)}")
    return {name: str(value) for name, value in made.items()}


def _split(given: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in given.split(";") if part.strip()]
    if not all(equals and name.strip() for name, equals, _ in pairs):
        raise ValueError("values is written like 'ec_name=…; service=12'")
    return {name.strip(): value.strip() for name, _, value in pairs}


def check_account(profile: Profile, account: Account) -> None:
    have = {"user": account.user, "secret": account.secret, "sender": account.sender}
    if missing := sorted(name for name in profile.needs if not have[name]):
        raise ValueError(f"profile {profile.name} needs {', '.join(missing)}")
    if not account.secret:
        raise ValueError("a gateway needs a secret: its callbacks are proved with it")
    if any(len(secret) < SECRET_CHARS_MIN for secret in account.secrets):
        raise ValueError(
            f"a gateway's secret has at least {SECRET_CHARS_MIN} characters: set a longer one there"
        )
