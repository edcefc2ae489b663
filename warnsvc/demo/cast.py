"""Who can log in to the demo: one officer for each role, with passwords that are printed.

On this machine alone the passwords are easy to remember. Where others can reach the demo they are
drawn anew at each start.
"""

import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address

from warnsvc.service.context import Context
from warnsvc.service.officer import Role, add_officer, find_officer, reset_password
from warnsvc.words import mark

EASY_PASSWORD = "yunling-2026"  # noqa: S105 - printed by the demo, for invented people
DRAWN_BYTES = 9
"""Twelve characters: can be typed, cannot be guessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """One officer of the demo. `does` is a sentence for the first screen."""

    login: str
    name: str
    post: str
    role: Role
    does: str
    password: str = field(default="", repr=False)


_PLAYERS = (
    ("duty", "周岚", "值班员", Role.DUTY, mark("值班：写预警、发布、解除")),
    ("signer", "古丽娜", "带班领导", Role.SIGNER, mark("签发：审签别人写的预警")),
    ("auditor", "韩朔", "审计员", Role.AUDITOR, mark("审计：查看、导出、校验台账")),
    ("admin", "沈默", "管理员", Role.ADMIN, mark("管理：账号、区域、联系人")),
)


def cast(host: str) -> tuple[Player, ...]:
    """Return the officers with their passwords for a demo that listens on `host`."""
    password = EASY_PASSWORD if is_local(host) else secrets.token_urlsafe(DRAWN_BYTES)
    return tuple(
        Player(login=login, name=name, post=post, role=role, does=does, password=password)
        for login, name, post, role, does in _PLAYERS
    )


def is_local(host: str) -> bool:
    """Return whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def enlist(ctx: Context, players: tuple[Player, ...]) -> dict[Role, int]:
    """Add the officers, or give those of an earlier demo today's passwords; role → id."""
    ids: dict[Role, int] = {}
    for player in players:
        known = await find_officer(ctx, player.login)
        if known is not None:
            await reset_password(ctx, by=None, officer_id=known.id, password=player.password)
            ids[player.role] = known.id
            continue
        ids[player.role] = await add_officer(
            ctx,
            by=None,
            login=player.login,
            name=player.name,
            post=player.post,
            roles=[player.role],
            password=player.password,
        )
    return ids
