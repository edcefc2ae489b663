"""Whether the database keeps what it confirms, also when the power fails.

An answer that a carrier was told we have must be on disk (law 4); PostgreSQL can be configured so
that it only says so. It looks once, at start, and never changes a setting of the server.
"""

from warnsvc.store.port import Store, StoreFault

NEEDED = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_apply"),
}
"""PostgreSQL's settings → what they may be; `remote_write`, `local`: no disk but the primary's."""

_SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY($1) ORDER BY name"


class WeakDatabase(StoreFault):
    """The server may lose what it has confirmed. The message names the settings."""


async def require_durable(store: Store) -> None:
    """Raise WeakDatabase when a confirmed commit could be lost.

    SQLite's connection is ours and refuses weaker settings by itself.
    """
    if weak := await weak_settings(store):
        raise WeakDatabase(
            f"PostgreSQL may lose what it confirms: {', '.join(weak)}. Set it to on, or allow it "
            "for a test with WARNSVC_ALLOW_WEAK_DATABASE=true."
        )


async def weak_settings(store: Store) -> list[str]:
    """Return what is too weak, as `fsync=off`."""
    if store.dialect != "postgresql":
        return []
    async with store.view() as unit:
        rows = await unit.fetch(_SETTINGS, list(NEEDED))
    return [
        f"{row['name']}={row['setting']}"
        for row in rows
        if row["setting"] not in NEEDED[row["name"]]
    ]
