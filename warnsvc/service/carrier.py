"""Carriers as an operator keeps them: those of the settings, and those added beside them.

    settings [[carriers]] ─┐
    table `carrier` ───────┴─► CarrierView: what it can do, how it stands, what is wrong with it

What is added by command or page is checked by building it once, and serves from the next start of
each process. Secrets stay in files: the database holds their paths, and nothing here returns,
logs or writes what is in them.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from channels.base import Capabilities, Channel
from channels.registry import ChannelSpec
from warnsvc.clock import Clock
from warnsvc.service.context import Context
from warnsvc.store.port import Store
from warnsvc.store.test_send import TestSend


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What an adapter needs to know, as a form asks for it."""

    name: str
    type: str
    """`text`, `number`, `whole` or `yes_no`."""
    required: bool
    default: str = ""
    """As it would be written; empty for none."""
    secret: bool = False
    """Given as the path of a file that holds it."""
    help: str = ""
    """A Chinese sentence that is translated where it is shown; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterForm:
    """An adapter, as a form offers it."""

    name: str
    kind: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierDraft:
    """A carrier that somebody wants to add."""

    name: str
    adapter: str
    params: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Values may be texts as they were typed; with `canary_to` and `canary_minutes`."""
    secret_files: Mapping[str, str] = field(default_factory=dict)
    """Secret → the path of the file that holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierView:
    """A carrier and how it stands."""

    name: str
    kind: str
    adapter: str
    source: str
    """`settings` or `added`."""
    enabled: bool
    running: bool
    """Whether this process has it."""
    capabilities: Capabilities | None
    """None when it cannot be built; `fault` says why."""
    fault: str
    """Why it cannot be built, in the registry's words; never a value."""
    per_second: float
    circuit_state: str
    """`closed`, `half_open` or `open`."""
    circuit_failures: int
    probe_at: datetime | None
    last_ok_at: datetime | None
    last_failed_at: datetime | None
    last_error: str
    """The carrier's words, numbers masked."""
    pace_factor: float
    """The share of its pace that we dare now."""
    throttled_at: datetime | None
    open_slots_at: datetime | None
    """When its next slot opens, if that is not now."""
    waiting: int
    """Planned sends of its kind."""
    sent_last_hour: int
    refused_last_hour: int
    canary_minutes: int
    """0: no canary is sent."""
    canary_address_masked: str
    last_canary: TestSend | None
    last_canary_ok_at: datetime | None
    """When a canary last came through."""
    last_tests: tuple[TestSend, ...]
    """Newest first, canaries too."""
    routes: tuple[str, ...]
    """The rules of the routes in which it stands, such as `sms 86 * → a, b`."""
    callback_address: str
    """Where receipts go; `{token}` stands for the part that differs with each send."""
    inbound_address: str
    """What is entered at the carrier for replies."""
    problems: tuple[str, ...]
    """Codes of `PROBLEMS`."""


def adapters() -> list[AdapterForm]:
    """Return every adapter with its parameters, by name."""
    raise NotImplementedError


async def list_carriers(ctx: Context) -> list[CarrierView]:
    """Return all carriers, those of the settings first."""
    raise NotImplementedError


async def add_carrier(ctx: Context, officer_id: int | None, draft: CarrierDraft) -> None:
    """Add a carrier; None: by the command. Raises Refusals, one for each wrong field."""
    raise NotImplementedError


async def set_enabled(ctx: Context, officer_id: int | None, name: str, enabled: bool) -> None:
    """Let an added carrier serve, or not, from the next start. Raises Refusal."""
    raise NotImplementedError


async def remove_carrier(ctx: Context, officer_id: int | None, name: str) -> None:
    """Take an added carrier away. Raises Refusal."""
    raise NotImplementedError


async def load_added(store: Store, clock: Clock) -> list[ChannelSpec]:
    """Return the added carriers that are enabled and can be built, in their order."""
    raise NotImplementedError


@asynccontextmanager
async def open_channel(ctx: Context, name: str) -> AsyncIterator[Channel]:
    """Lend a carrier's channel: the running one, or one built for the moment. Raises Refusal."""
    raise NotImplementedError
    yield


PROBLEMS: Sequence[str] = ()
