"""How late windows are closed: 10,000 and 100,000 at one instant, 10,000 over half a minute.

    python -m tests.bench windows

A red bulletin to the whole region (14,738 villages, one bulletin for the ten thousand, seven for
the hundred thousand), three calls and a text to each first person, nobody has answered, all windows
end. The service runs as installed, without carriers (`tests.bench.process`), and is watched from
outside: late is counted until the commit is seen. Then it is killed and started again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from tests.bench import house as houses
from tests.bench import process, seed, watcher
from tests.bench.report import Report

Tell = Callable[[str, float, str], None]

SPREAD_SECONDS = 30
BEFORE_SECONDS = 12
"""From writing the deadlines to the instant: starting takes a second or two, much more when the
machine is busy."""
SECONDS_MAX = 300.0


async def measure(report: Report) -> None:
    """Measure both databases; the plain name is the worse of the two."""
    found: dict[str, dict[str, float]] = {}
    for kind in houses.DATABASES:
        found[kind] = {}
        for windows, bulletins in ((10_000, 1), (100_000, 7)):
            with houses.database(kind) as url:
                await _one(report, found[kind], kind, url, windows, bulletins)
    for name in found["sqlite"]:
        kind = max(houses.DATABASES, key=lambda k: found[k][name])
        report.add(_named(name, ""), found[kind][name], _unit(name), f"the worse: {kind}")


def _unit(name: str) -> str:
    return "MB" if name.startswith("peak_mb") else "s"


def _named(name: str, kind: str) -> str:
    """`windows_10k_last_late_s` → `windows_10k_last_late_sqlite_s`."""
    if not kind:
        return name
    return f"{name.removesuffix('_s')}_{kind}_s" if name.endswith("_s") else f"{name}_{kind}"


async def _one(
    report: Report,
    found: dict[str, float],
    kind: str,
    url: str,
    windows: int,
    bulletins: int,
) -> None:
    def tell(name: str, value: float, note: str) -> None:
        found[name] = value
        report.add(_named(name, kind), value, _unit(name), note)

    workers = process.WORKERS[kind]
    size = f"{windows // 1000}k"
    async with houses.house(url, "http://127.0.0.1:9") as opened:
        regions = houses.regions()
        await seed.released(opened, regions, [regions[0].code], repeat=bulletins)
        instant = opened.ctx.clock.now() + timedelta(seconds=BEFORE_SECONDS)
        await seed.end_windows(opened, [instant] * windows)
    with process.service(url) as service:
        _start(service, kind)
        late = await _last_late(url, instant)
        tell(
            f"windows_{size}_last_late_s",
            late,
            f"{windows:,} red windows of {bulletins} bulletins, {workers} process(es), from the"
            " instant to the last commit",
        )
        tell(f"peak_mb_windows_{size}", service.peak_mb(), "one service process, VmHWM")
        service.kill()
        if windows == 100_000:
            service.serve()
            ready = service.until_ready()
            tell("start_100k_s", ready, "100,000 open, killed, until /readyz says ready")
            tell("peak_mb_start_100k", service.peak_mb(), "service process after start, VmHWM")
            service.kill()
            return
    await _spread(tell, kind, url, windows)


def _start(service: process.Service, kind: str) -> None:
    if kind == "sqlite":
        service.serve()
    else:
        service.work(process.WORKERS[kind])


async def _last_late(url: str, instant: datetime) -> float:
    watching = await watcher.watch(url)
    try:
        return await watcher.until_none_due(watching, instant, seconds_max=SECONDS_MAX)
    finally:
        await watching.close()


async def _spread(tell: Tell, kind: str, url: str, windows: int) -> None:
    """The next window of each, ending one after another."""
    async with houses.house(url, "http://127.0.0.1:9") as opened:
        first = opened.ctx.clock.now() + timedelta(seconds=BEFORE_SECONDS)
        step = timedelta(seconds=SPREAD_SECONDS) / windows
        ends_at = [first + step * n for n in range(windows)]
        numbers = await seed.end_windows(opened, ends_at)
    with process.service(url) as service:
        _start(service, kind)
        watching = await watcher.watch(url)
        try:
            late = await watcher.lateness(
                watching, dict(zip(numbers, ends_at, strict=False)), seconds_max=SECONDS_MAX
            )
        finally:
            await watching.close()
        note = f"{windows:,} windows over {SPREAD_SECONDS} s, watched every 10 ms"
        tell("lateness_p50_s", _share(late, 0.5), note)
        tell("lateness_p99_s", _share(late, 0.99), note)
        tell("lateness_max_s", late[-1], note)
        tell("peak_mb_spread_10k", service.peak_mb(), "one service process, VmHWM")


def _share(rising: Sequence[float], share: float) -> float:
    return rising[min(len(rising) - 1, int(len(rising) * share))]
