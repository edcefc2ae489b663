"""Puts the demo together and runs it until it is told to stop.

    data folder ─► settings ─► phones (own process) ─┐
                                migrate ─► county ─► officers ─► drill ─► pages and engine

Everything it needs is in one folder and on two ports; it never touches the operator's own database.
"""

import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channels.webhook_secret import endpoint_secret
from contacts.county import SEED as COUNTY_SEED
from contacts.county import County, make_county
from warnsvc import app
from warnsvc.core.pack import DEFAULT_PACK, shortened
from warnsvc.demo.cast import Player, cast, enlist, is_local
from warnsvc.demo.county import HOOKS_PATH, hooks_of, load_county, phones_of
from warnsvc.demo.drill import prepare_drill
from warnsvc.demo.phones import ACCOUNT, SENDER, PhonesConfig, simulated_phones
from warnsvc.secret import make_secret_key, signing_secrets
from warnsvc.service.context import Context
from warnsvc.service.officer import Role
from warnsvc.settings import Settings, load_settings
from warnsvc.store.migrate import upgrade
from warnsvc.token import sign_token

PACES = {"sms": 200.0, "voice": 50.0}
"""Parts and calls a second: quick enough to watch, slow enough to see that there is a pace."""
INSTALL_NAME = "云岭县应急局"
DESK_NAME = "云岭县应急值班室"
WINDOW_SECONDS = 60
"""How long a visitor waits until a silent village climbs; a real red warning gives five minutes."""
WINDOW_SECONDS_MIN, WINDOW_SECONDS_MAX = 10, 3600
REAL_WINDOW_SECONDS = 300
"""What a red warning gives: the crowd hurries by as much as the windows are shortened."""
RING_SHARE = 0.25
"""A phone rings for a quarter of the window, so that it is silent before the next round."""
RING_SECONDS_MAX = 45.0


class PortTaken(Exception):
    """Something else listens there. `option` is what to change."""

    def __init__(self, port: int, option: str) -> None:
        super().__init__(f"port {port} is taken ({option})")
        self.port = port
        self.option = option


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWish:
    """What was asked for on the command line; None: from the settings."""

    port: int | None = None
    phones_port: int | None = None
    seed: int = 7
    """Decides everybody's habits with the phone."""
    data: Path | None = None
    """Kept afterwards; None: a folder that goes with the demo."""
    window_seconds: int = WINDOW_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What the first screen says."""

    url: str
    phones_url: str
    players: tuple[Player, ...]
    window_seconds: int
    data: Path | None
    drill_waits: bool
    local: bool


Step = Callable[[str], None]
"""Told the name of each step as it begins: `folder`, `phones`, `county`, `officers`, `pages`."""


async def run_demo(
    wish: DemoWish, *, step: Step = lambda _: None, opened: Callable[[Opening], None]
) -> None:
    """Run until SIGTERM or SIGINT. Raises PortTaken, PhonesFault, StoreFault, SettingsFault."""
    stop = app.stop_on_signals()
    step("folder")
    with _folder(wish.data) as folder:
        settings = demo_settings(wish, folder)
        require_free(settings.host, settings.port, "--port")
        require_free(settings.host, settings.phones_port, "--phones-port")
        county = make_county(seed=COUNTY_SEED, speakers_url=_phones_url(settings) + HOOKS_PATH)
        step("phones")
        async with simulated_phones(_phones_config(settings, county, wish)) as phones:
            step("county")
            await upgrade(settings.database_address)
            pack = shortened(DEFAULT_PACK, window_seconds=wish.window_seconds)
            async with app.open_house(settings, pack=pack) as house:
                await load_county(house.ctx, county)
                step("officers")
                opening = await _furnish(house.ctx, wish)
                step("pages")
                await app.run(house, stop=stop, ready=lambda: opened(opening), beside=[phones])


async def _furnish(ctx: Context, wish: DemoWish) -> Opening:
    """Let the officers in and lay the drill on the desk."""
    settings = ctx.settings
    players = cast(settings.host)
    ids = await enlist(ctx, players)
    drill = await prepare_drill(ctx, author=ids[Role.DUTY])
    return Opening(
        url=settings.public_url,
        phones_url=_phones_url(settings),
        players=players,
        window_seconds=wish.window_seconds,
        data=wish.data,
        drill_waits=drill is not None,
        local=is_local(settings.host),
    )


def _phones_config(settings: Settings, county: County, wish: DemoWish) -> PhonesConfig:
    """Phones that ring and people who answer as much faster as the windows are shorter."""
    return PhonesConfig(
        host=settings.host,
        port=settings.phones_port,
        seed=wish.seed,
        secret=carrier_secret(settings),
        inbound_callback=f"{settings.public_url}/callbacks/sim-sms",
        hooks=hook_secrets(settings, county),
        phones=phones_of(county),
        crowd_speed=max(1.0, REAL_WINDOW_SECONDS / wish.window_seconds),
        ring_seconds=min(RING_SECONDS_MAX, wish.window_seconds * RING_SHARE),
        time_zone=settings.time_zone,
    )


def hook_secrets(settings: Settings, county: County) -> dict[str, str]:
    """Return name → secret of every endpoint: each has its own, as real ones do."""
    secret, url = carrier_secret(settings), _phones_url(settings) + HOOKS_PATH
    return {name: endpoint_secret(secret, f"{url}/{name}") for name in hooks_of(county)}


def demo_settings(wish: DemoWish, folder: Path) -> Settings:
    """Return the settings of a demo: the operator's own, but never his database or carriers."""
    given: dict[str, Any] = {
        "demo": True,
        "data_dir": folder,
        "database_url": f"sqlite:///{folder / 'warnsvc.sqlite3'}",
        "database_password": None,
        "database_password_file": None,
        "install_name": INSTALL_NAME,
        "desk_name": DESK_NAME,
        "carriers": (),
    }
    if wish.port is not None:
        given["port"] = wish.port
    if wish.phones_port is not None:
        given["phones_port"] = wish.phones_port
    bare = load_settings(**given)
    make_secret_key(bare)
    return load_settings(**{**given, "carriers": _carriers(bare)})


def carrier_secret(settings: Settings) -> str:
    """Return what service and simulated carrier know each other by; a restart keeps it."""
    return sign_token(signing_secrets(settings)[0], "demo-carrier", 1)


def _carriers(settings: Settings) -> list[dict[str, Any]]:
    secret = carrier_secret(settings)
    params = {"base_url": _phones_url(settings), "account": ACCOUNT, "sender": SENDER}
    return [
        {
            "name": f"sim-{kind}",
            "kind": kind,
            "adapter": f"simulated-{kind}",
            "params": {**params, "per_second": per_second},
            "secrets": {"secret": secret},
        }
        for kind, per_second in PACES.items()
    ] + [
        {
            "name": "sim-webhook",
            "kind": "webhook",
            "adapter": "webhook",
            "params": {"allow_private": True},
            "secrets": {"secret": secret},
        }
    ]


def _phones_url(settings: Settings) -> str:
    """Where the phones are, seen from this machine."""
    return settings.model_copy(
        update={"port": settings.phones_port, "public_base_url": ""}
    ).public_url


def require_free(host: str, port: int, option: str) -> None:
    """Raise PortTaken when something listens there already: better now than half way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as fault:
            raise PortTaken(port, option) from fault


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """Yield the folder of the demo's data: the one asked for, or one that vanishes."""
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted
        return
    with tempfile.TemporaryDirectory(prefix="warnsvc-demo-") as made:
        yield Path(made)
