"""F7 and several hosts: web, two workers, database and carrier, each a network namespace.

Pass: a worker that is cut off from the database in the middle of a unit frees its locks within ten
seconds, another one has its work within ten, and nothing is lost or doubled; without faults the
workers share the sends fairly.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import pytest

from tests.faults.carried import answering, until_all_taken
from tests.faults.figures import Figures
from tests.faults.network import Host, missing, network
from tests.faults.rig import Rig, open_rig
from tests.faults.server import Server, server_on

SENDS = 3_500
SMALL = {"dispatch_concurrency": 20, "claim_batch": 50}
"""So that a worker holds what it can send in a second, and the sends take a while."""
SECONDS_MAX = 10.0
"""R8: for locks and for work."""
SHARE_MIN = 0.35
"""Of two workers, each does at least so much."""

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@contextmanager
def hosts() -> Iterator[tuple[dict[str, Host], Server]]:
    """Make the hosts and start the database on its own."""
    with network("db", "web", "w1", "w2", "carrier") as net, server_on(net["db"]) as database:
        yield net, database


@asynccontextmanager
async def topology(net: dict[str, Host], database: Server, **options: object) -> AsyncIterator[Rig]:
    """A rig on these hosts, its directory filled, a bulletin released, and no process yet."""
    carrier = net["carrier"]
    async with open_rig(
        "postgresql",
        url=database.dsn,
        carrier_net=carrier.address.rpartition(".")[0],
        carrier_prefix=carrier.prefix,
        host="0.0.0.0",
        **options,
    ) as rig:
        rig.web_host = net["web"].address
        rig.public_base_url = f"http://{net['web'].address}:{rig.port}"
        await rig.populate(SENDS)
        await rig.release()
        yield rig


def start(rig: Rig, net: dict[str, Host], name: str, *arguments: str) -> None:
    """Start a process of the service on the host of its name."""
    rig.start(name, *arguments, prefix=net[name].prefix)


async def test_two_workers_on_hosts_of_their_own_share_the_sends() -> None:
    with hosts() as (net, database):
        async with topology(net, database, dispatch_concurrency=20, claim_batch=100) as rig:
            await rig.turn(answer_seconds=0.1)
            start(rig, net, "web", "serve", "--no-engine")
            start(rig, net, "w1", "worker")
            start(rig, net, "w2", "worker")
            await rig.until_ready()
            async with answering(rig, per_second=100) as answers:
                took = await rig.until(rig.all_sent, 120, "all is sent")
                await until_all_taken(rig, answers, 30)
            record = await rig.record("texts")
            lost = await answers.lost()

        by_host = record.by_host()
        shares = {name: len(by_host.get(rig[name].host, [])) / SENDS for name in ("w1", "w2")}
        figures = Figures()
        for name, share in shares.items():
            figures.add(f"hosts_share_{name}", share, "of sends", f"{SENDS} in {took:.1f} s")
        figures.add("hosts_answers", len(answers.accepted), "answers", "over the web host")
        figures.show()
        figures.write()
        assert len(record.copies()) == SENDS
        assert record.duplicates == 0
        assert not lost
        assert min(shares.values()) >= SHARE_MIN, shares


async def test_a_worker_that_is_cut_off_frees_its_locks_and_its_work() -> None:
    with hosts() as (net, database):
        async with topology(net, database, lease_seconds=60, **SMALL) as rig:
            await rig.turn(answer_seconds=0.4)
            start(rig, net, "w1", "worker")
            start(rig, net, "w2", "worker")
            await rig.until(lambda: _sends(rig, "w1"), 20, "w1 sends")
            # Held for no time yet: the server's own limit on idle units would free it sooner.
            prefix = net["w1"].prefix
            rig.start("holder", "lock", "120", module="tests.faults.holder", prefix=prefix)
            await rig.until(lambda: _holds(rig), 20, "a unit on w1 holds the bulletin", every=0.02)

            net["w1"].cut_off(net["db"])
            cut = time.monotonic()
            held = {row["id"] for row in await rig.fetch(_HELD, rig["w1"].owner)}
            freed = asyncio.create_task(_until_free(database.dsn, 60))
            await rig.until(lambda: _taken_over(rig, held), 60, "w1 holds no send any more")
            work = time.monotonic() - cut
            await rig.until(lambda: _settled(rig, held), 60, f"the {len(held)} held sends settle")
            settled = time.monotonic() - cut
            print("WORK", work)
            locks = await freed - cut
            print("LOCKS", locks, time.strftime("%H:%M:%S"))
            await asyncio.sleep(max(0.0, cut + 12 - time.monotonic()))
            net["w1"].heal()
            healed = time.monotonic()
            print("HEAL", time.strftime("%H:%M:%S"), net["w1"].run("nft", "list", "ruleset"))
            before = len((await rig.record("texts")).by_host().get(rig["w1"].host, []))
            await rig.until(lambda: _sends(rig, "w1", before + 1), 30, "w1 works again")
            again = time.monotonic() - healed
            await rig.turn(answer_seconds=0.0)
            await rig.until(rig.all_sent, 120, "all is sent")
            record = await rig.record("texts")

        figures = Figures()
        figures.add("partition_locks_free_s", locks, "s", "cut → another can lock the bulletin")
        figures.add(
            "partition_takeover_s", work, "s", f"cut → {len(held)} sends are w2's to settle"
        )
        figures.add("partition_settled_s", settled, "s", "cut → they are looked up or sent by w2")
        figures.add("partition_healed_s", again, "s", "healed → w1 sends again")
        figures.add("partition_duplicates", record.duplicates, "texts", f"of {SENDS}")
        figures.show()
        figures.write()
        assert held
        assert len(record.copies()) == SENDS
        assert record.duplicates == 0
        assert locks <= SECONDS_MAX
        assert work <= SECONDS_MAX


_HELD = "SELECT id FROM attempt WHERE state = 'sending' AND lease_owner LIKE $1"


async def _holds(rig: Rig) -> bool:
    return "held" in rig["holder"].log


async def _sends(rig: Rig, name: str, count: int = 50) -> bool:
    return len((await rig.record("texts")).by_host().get(rig[name].host, [])) >= count


async def _taken_over(rig: Rig, held: set[int]) -> bool:
    return not await rig.one(
        "SELECT COUNT(*) FROM attempt WHERE id = ANY($1) AND state = 'sending'"
        " AND lease_owner LIKE $2",
        sorted(held),
        rig["w1"].owner,
    )


async def _settled(rig: Rig, held: set[int]) -> bool:
    return not await rig.one(
        "SELECT COUNT(*) FROM attempt WHERE id = ANY($1)"
        " AND state IN ('planned','sending','unknown')",
        sorted(held),
    )


async def _until_free(dsn: str, seconds: float) -> float:
    """Return when somebody else could hold the bulletins (monotonic)."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    await connection.execute("SELECT id FROM bulletin FOR UPDATE NOWAIT")
                except asyncpg.LockNotAvailableError:
                    await asyncio.sleep(0.05)
                else:
                    return time.monotonic()
    finally:
        await connection.close()
