"""The ledger (台账): lines as canonical bytes, and the Merkle tree over them.

    transition ──► Line ──body()──► bytes ──leaf_hash()──► leaf    in the transition's transaction
    sequencer: leaf ──► CompactRange.append ──► root               shortly after, gap-free
    export: lines + head ──verify_lines()──► Verdict               offline, hashlib only

Leaf hash = SHA-256(0x00 ‖ bytes), node = SHA-256(0x01 ‖ left ‖ right). Source: RFC 6962 §2.1.
Bodies hold ids, never names, numbers or what somebody wrote: those can be erased, this cannot.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

HASH_BYTES = 32
FORMAT = 1
WHOLE_NUMBER_MAX = 2**53
"""From here on readers of other languages round (RFC 8785 §3.2.2.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One transition. `actor`: `system`, `officer:3`, `contact:12`, `carrier:sim`. Ids are ours."""

    act: str
    actor: str = "system"
    bulletin_id: int | None = None
    escalation_id: int | None = None
    callout_id: int | None = None
    from_state: str = ""
    to_state: str = ""
    why: str = ""
    happened_at: datetime | None = None
    """When it happened, if that is not when it was entered."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Strings, whole numbers, booleans, None, lists and objects of them; no floats (RFC 8785)."""


@lru_cache(maxsize=64)
def instant(at: datetime) -> str:
    """Return an instant as the ledger writes it: UTC, milliseconds, `Z`."""
    assert at.tzinfo is not None, "a naive instant would be taken for local time"
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def body(line: Line, *, line_id: int, entered_at: datetime) -> bytes:
    """Return the exact bytes that are stored and hashed: sorted keys, no spaces, UTF-8.

    Equal to RFC 8785 for ASCII keys and values without floats. Written member by member in the
    order of the keys, because a step writes them by the thousand. Raises TypeError for what two
    programs would write differently.
    """
    parts = ['{"act":', _text(line.act), ',"actor":', _text(line.actor)]
    parts += (',"at":"', instant(entered_at), '"')
    if line.bulletin_id is not None:
        parts += (',"bulletin":', str(line.bulletin_id))
    if line.callout_id is not None:
        parts += (',"callout":', str(line.callout_id))
    if line.data:
        parts += (',"data":', _plain(line.data))
    if line.escalation_id is not None:
        parts += (',"escalation":', str(line.escalation_id))
    if line.from_state:
        parts += (',"from":', _text(line.from_state))
    if line.happened_at is not None:
        parts += (',"happened":"', instant(line.happened_at), '"')
    parts += (',"id":', str(line_id))
    if line.to_state:
        parts += (',"to":', _text(line.to_state))
    parts += (',"v":', str(FORMAT))
    if line.why:
        parts += (',"why":', _text(line.why))
    parts.append("}")
    return "".join(parts).encode()


def _plain(value: object) -> str:
    """Write a value that every program writes alike. Raises TypeError for any other."""
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return _CONSTANTS[value]
    if isinstance(value, int) and abs(value) < WHOLE_NUMBER_MAX:
        return int.__repr__(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_plain, value))}]"
    # A dict is asked first: whether something is a Mapping costs more than writing it.
    if isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101
        members = [f"{_text(key)}:{_plain(value[key])}" for key in sorted(value)]
        return f"{{{','.join(members)}}}"
    raise TypeError(f"the ledger does not write a {type(value).__name__} of this kind")


_CONSTANTS: dict[object, str] = {None: "null", True: "true", False: "false"}
_text = json.encoder.encode_basestring
"""A string with its quotes, in UTF-8 as it is; escapes as `json.dumps(…, ensure_ascii=False)`."""

_encode = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode
"""Made once: `json.dumps` with these arguments makes an encoder for every line."""


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return canonical JSON. Equal to RFC 8785 for ASCII keys and values without floats."""
    return _encode(document).encode()


def leaf_hash(content: bytes) -> bytes:
    """Return the leaf hash of a line's bytes."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()


class CompactRange:
    """The right edge of a Merkle tree: enough to append leaves and to know the root.

    `edge` holds the roots of the perfect subtrees, largest first: one per set bit of `size`.
    """

    def __init__(self, size: int = 0, edge: bytes = b"") -> None:
        assert len(edge) % HASH_BYTES == 0, "the edge is cut"
        self.size = size
        self._edge = [edge[i : i + HASH_BYTES] for i in range(0, len(edge), HASH_BYTES)]
        assert len(self._edge) == size.bit_count(), "the edge does not belong to this size"

    @property
    def edge(self) -> bytes:
        """The edge as bytes, to be stored."""
        return b"".join(self._edge)

    def append(self, leaf: bytes) -> None:
        """Add the next leaf."""
        size = self.size
        while size & 1:
            leaf = node_hash(self._edge.pop(), leaf)
            size >>= 1
        self._edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the tree's root hash."""
        if not self._edge:
            return EMPTY_ROOT
        root = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            root = node_hash(left, root)
        return root


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedLine:
    """One line of an export: its place, its bytes, and the leaf that was sequenced."""

    seq: int
    content: bytes
    leaf: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What an export claims: so many lines, with this root."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verification found. `bad_seq` is the first bad place, from 0."""

    ok: bool
    size: int
    root: bytes
    fault: str = ""
    """`content` (bytes do not match the leaf), `gap`, `size` (lines cut off or added), `root` (the
    lines fit each other, but are not the ones that were counted), or empty."""
    bad_seq: int | None = None


def verify_lines(lines: Iterable[ExportedLine], head: Head) -> Verdict:
    """Recompute every leaf and the root; name the first bad line. Needs nothing but hashlib."""
    tree = CompactRange()
    for line in lines:
        if line.seq != tree.size:
            return _bad(tree, "gap", tree.size)
        if leaf_hash(line.content) != line.leaf:
            return _bad(tree, "content", line.seq)
        tree.append(line.leaf)
    if tree.size != head.size:
        return _bad(tree, "size", min(tree.size, head.size))
    if tree.root() != head.root:
        return _bad(tree, "root", None)
    return Verdict(ok=True, size=tree.size, root=tree.root())


def _bad(tree: CompactRange, fault: str, seq: int | None) -> Verdict:
    return Verdict(ok=False, size=tree.size, root=tree.root(), fault=fault, bad_seq=seq)
