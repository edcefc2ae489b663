"""A house to measure in: a database, invented people, a carrier in a process of its own."""

import asyncio
import csv
import gzip
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

from contacts.directory.bulk import bulk_load
from contacts.people import people_for
from contacts.region import Region, RegionLevel, RegionTree
from tests.fakes.postgresql import postgresql_server
from warnsvc.app import House, open_house
from warnsvc.core.bulletin import BulletinStatus, Colour
from warnsvc.service import bulletin
from warnsvc.service.officer import Role, add_officer
from warnsvc.settings import Settings, load_settings
from warnsvc.store.migrate import upgrade

SECRET = secrets.token_urlsafe(32)
SHARED = Path(os.environ.get("WARNSVC_SHARED", Path(__file__).parents[3] / "shared"))
XINJIANG = SHARED / "data" / "regions" / "xinjiang.csv.gz"
TEXT = "暴雨红色预警：今夜至明晨有大暴雨，请立即上岗组织转移。"
DATABASES = ("sqlite", "postgresql")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def database(kind: str) -> Iterator[str]:
    """Yield the address of an empty database; PostgreSQL with fsync, because it is measured."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="warnsvc-bench-") as folder:
            yield f"sqlite:///{folder}/bench.sqlite3"
        return
    with postgresql_server(durable=True) as dsn:
        yield dsn


@asynccontextmanager
async def carrier(*arguments: str) -> AsyncIterator[str]:
    """Run the simulated carrier on the other core; yield its address."""
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".secret") as file:
        file.write(SECRET)
        file.flush()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "channels.simulator",
                "--port",
                str(port),
                "--secret-file",
                file.name,
                "--sender",
                "10690000",
                *arguments,
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            await _until_open(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()  # it may still have thousands of callbacks to deliver
            process.wait()


async def _until_open(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise RuntimeError("the carrier did not start")


def settings_for(url: str, carrier_url: str, *, port: int, folder: Path) -> Settings:
    """Return settings with SMS and voice on the simulated carrier."""
    params = {
        "base_url": carrier_url,
        "account": "warnsvc",
        "sender": "10690000",
        "per_second": 100_000.0,  # what is measured is us, not a pace
    }
    return load_settings(
        database_url=url,
        demo=True,
        port=port,
        data_dir=folder,
        install_name="县应急局",
        secret_key="k" * 40,
        carriers=[
            {
                "name": "sim-sms",
                "kind": "sms",
                "adapter": "simulated-sms",
                "params": params,
                "secrets": {"secret": SECRET},
            },
            {
                "name": "sim-voice",
                "kind": "voice",
                "adapter": "simulated-voice",
                "params": params,
                "secrets": {"secret": SECRET},
            },
        ],
    )


@asynccontextmanager
async def house(url: str, carrier_url: str, *, port: int = 0) -> AsyncIterator[House]:
    """Open a migrated house."""
    with tempfile.TemporaryDirectory(prefix="warnsvc-bench-") as folder:
        await upgrade(url)
        settings = settings_for(url, carrier_url, port=port or free_port(), folder=Path(folder))
        async with open_house(settings) as opened:
            yield opened


def regions(county: str = "") -> list[Region]:
    """Return the real regions (of one county, with what lies above), or as many invented ones."""
    if not XINJIANG.exists():
        return _invented(110 if not county else 1)
    with gzip.open(XINJIANG, "rt", encoding="utf-8") as file:
        found = [
            Region(
                code=row["code"],
                parent_code=row["parent_code"] or None,
                level=RegionLevel(row["level"]),
                name=row["name"],
            )
            for row in csv.DictReader(file)
        ]
    if not county:
        return found
    tree = RegionTree(found)
    return [*tree.path(county)[:-1], *tree.descendants(county)]


def _invented(counties: int) -> list[Region]:
    made = [
        Region(code="990000000000", parent_code=None, level=RegionLevel.PROVINCE, name="虚构省")
    ]
    for c in range(1, counties + 1):
        county = f"9901{c:02d}" if c < 100 else f"9902{c - 99:02d}"
        made.append(
            Region(
                code=f"{county}000000",
                parent_code="990000000000",
                level=RegionLevel.COUNTY,
                name=f"县{c}",
            )
        )
        for t in range(1, 14):
            township = f"{county}{t:03d}"
            made.append(
                Region(
                    code=f"{township}000",
                    parent_code=f"{county}000000",
                    level=RegionLevel.TOWNSHIP,
                    name=f"乡{t}",
                )
            )
            made.extend(
                Region(
                    code=f"{township}{v:03d}",
                    parent_code=f"{township}000",
                    level=RegionLevel.VILLAGE,
                    name=f"村{v}",
                )
                for v in range(1, 11)
            )
    return made


async def populate(opened: House, found: Sequence[Region]) -> tuple[int, int, int]:
    """Load regions with three people a village; return people, the author and the signer."""
    ctx = opened.ctx
    people = people_for(found, tiers=3, seed=1)
    async with ctx.store.unit() as unit:
        await bulk_load(unit, found, people, now=ctx.clock.now())
    author = await add_officer(
        ctx,
        by=None,
        login="duty",
        name="值班员",
        post="",
        password=secrets.token_urlsafe(16),
        roles=[Role.DUTY],
    )
    signer = await add_officer(
        ctx,
        by=None,
        login="signer",
        name="签发人",
        post="",
        password=secrets.token_urlsafe(16),
        roles=[Role.SIGNER],
    )
    return len(people.contacts), author, signer


async def signed_bulletin(opened: House, root: str, author: int, signer: int) -> int:
    """Write a red bulletin for `root` and have it signed; return its id."""
    ctx = opened.ctx
    now = ctx.clock.now()
    written = bulletin.BulletinDraft(
        status=BulletinStatus.ACTUAL,
        hazard="11B03",
        colour=Colour.RED,
        region_codes=(root,),
        texts={"zh": TEXT},
        onset_at=now,
        expires_at=now + timedelta(hours=6),
    )
    bulletin_id = await bulletin.draft(ctx, officer=author, draft=written)
    await bulletin.submit(ctx, officer=author, bulletin_id=bulletin_id)
    await bulletin.sign(ctx, officer=signer, bulletin_id=bulletin_id)
    return bulletin_id
