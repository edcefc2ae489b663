"""Runs the simulated carrier by itself: `python -m channels.simulator --secret-file …`."""

import argparse
import asyncio
import signal
from pathlib import Path

from channels.simulator import Account, AnswersBy, Behaviour, CarrierConfig, CarrierServer, Hook


def main() -> None:
    """Listen until stopped."""
    asyncio.run(_serve(_arguments().parse_args()))


async def _serve(given: argparse.Namespace) -> None:
    server = CarrierServer(config_from(given), host=given.host, port=given.port)
    await server.start()
    print(f"simulated carrier on {server.url}", flush=True)  # noqa: T201  # says it is ready
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stopped.set)
    await stopped.wait()
    await server.close()


def config_from(given: argparse.Namespace) -> CarrierConfig:
    """Return the configuration that the command line asks for."""
    account = Account(
        name=given.account,
        secrets=secrets_in(given.secret_file),
        senders=tuple(given.sender),
        inbound_callback=given.inbound_callback,
    )
    hooks = tuple(
        Hook(name=name, secrets=secrets_in(given.hook_secret_file), answers_by=AnswersBy(how))
        for name, _, how in (hook.partition("=") for hook in given.hook)
    )
    return CarrierConfig(
        accounts=(account,),
        hooks=hooks,
        seed=given.seed,
        behaviour=Behaviour(
            crowd=given.crowd,
            crowd_share=given.crowd_share,
            crowd_speed=given.crowd_speed,
            receipts=not given.no_receipts,
        ),
        keep_handsets=not given.no_handsets,
        magic_endings=given.magic_endings,
        templates=given.templates,
    )


def secrets_in(path: Path | None) -> tuple[str, ...]:
    """Return the secrets in a file, one per line: the current one, then the one it replaces."""
    if path is None:
        raise SystemExit("a secret file is needed: one secret per line")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    secrets = tuple(line for line in lines if line)
    if not secrets:
        raise SystemExit(f"{path} holds no secret")
    return secrets


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m channels.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--seed", type=int, default=7, help="decides everybody's habits")
    parser.add_argument("--account", default="warnsvc")
    parser.add_argument("--secret-file", type=Path, required=True)
    parser.add_argument("--sender", action="append", default=[], help="may be given several times")
    parser.add_argument("--inbound-callback", default="", help="where replies are posted")
    parser.add_argument(
        "--hook", action="append", default=[], metavar="NAME=response|callback|silence"
    )
    parser.add_argument("--hook-secret-file", type=Path)
    parser.add_argument("--crowd", action="store_true", help="people answer by their habits")
    parser.add_argument("--crowd-share", type=float, default=1.0, help="of all handsets, 0 to 1")
    parser.add_argument("--crowd-speed", type=float, default=1.0, help="times as fast")
    parser.add_argument("--no-receipts", action="store_true")
    parser.add_argument("--no-handsets", action="store_true", help="for measurements")
    parser.add_argument("--magic-endings", action="store_true")
    parser.add_argument("--templates", type=Path, help="the folder that holds phones/")
    return parser


if __name__ == "__main__":
    main()
