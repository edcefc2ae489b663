"""The command run in this process, on a folder of its own.

command("regions", "list", "--json") → Said(code, out, err)

data        the folder; WARNSVC_DATA_DIR names it
empty       … with a migrated database
furnished   … with the invented county, the demo's officers, and its drill, released
"""

import asyncio
import io
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import structlog

from contacts.county import make_county
from warnsvc.app import open_house
from warnsvc.cli.main import run
from warnsvc.demo.cast import cast, enlist
from warnsvc.demo.county import load_county
from warnsvc.demo.drill import prepare_drill
from warnsvc.demo.run import DemoWish, demo_settings
from warnsvc.secret import make_secret_key
from warnsvc.service import bulletin, release
from warnsvc.service.officer import Role
from warnsvc.store.migrate import upgrade

DATABASE = "warnsvc.sqlite3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command said, and the code it ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Command(Protocol):
    def __call__(self, *arguments: str, typed: str = "") -> Said: ...


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith("WARNSVC_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "data"
    monkeypatch.setenv("WARNSVC_DATA_DIR", str(folder))
    monkeypatch.setenv("COLUMNS", "200")  # so that no sentence is folded
    return folder


@pytest.fixture
def empty(data: Path, sqlite_template: Path) -> Path:
    data.mkdir()
    shutil.copyfile(sqlite_template, data / DATABASE)
    (data / "secret.key").write_text("k" * 40)
    return data


@pytest.fixture
def furnished(data: Path, county_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(county_template, data)
    return data


@pytest.fixture(scope="session")
def county_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that tests copy: a county of 160 villages whose first drill has gone out."""
    folder = tmp_path_factory.mktemp("county")
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, _furnish(folder)).result()
    return folder


async def _furnish(folder: Path) -> None:
    settings = demo_settings(DemoWish(), folder)
    make_secret_key(settings)
    await upgrade(settings.database_address)
    async with open_house(settings) as house:
        await load_county(house.ctx, make_county())
        ids = await enlist(house.ctx, cast("127.0.0.1"))
        drill = await prepare_drill(house.ctx, author=ids[Role.DUTY])
        assert drill is not None
        await bulletin.sign(house.ctx, officer=ids[Role.SIGNER], bulletin_id=drill)
        foreseen = await release.preview(house.ctx, drill)
        await release.release(
            house.ctx, officer=ids[Role.DUTY], bulletin_id=drill, typed=foreseen.phrase
        )


@pytest.fixture
def command(
    data: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def call(*arguments: str, typed: str = "") -> Said:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capfd.readouterr()
        code = run(arguments)
        sys.stdout.flush()
        said = capfd.readouterr()
        return Said(code=code, out=said.out, err=said.err)

    yield call
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
