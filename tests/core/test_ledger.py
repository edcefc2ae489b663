"""The ledger's bytes and its tree, against a second implementation that is nothing but RFC 6962."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warnsvc.core.answer import AnswerKind
from warnsvc.core.ledger import (
    EMPTY_ROOT,
    WHOLE_NUMBER_MAX,
    CompactRange,
    ExportedLine,
    Head,
    Line,
    body,
    canonical,
    instant,
    leaf_hash,
    verify_lines,
)

AT = datetime(2026, 7, 1, 3, 4, 5, 678_900, tzinfo=UTC)


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def naive_root(entries: Sequence[bytes]) -> bytes:
    """RFC 6962 §2.1, as it is written there."""
    match len(entries):
        case 0:
            return sha(b"")
        case 1:
            return sha(b"\x00" + entries[0])
        case n:
            k = 1
            while k * 2 < n:
                k *= 2
            return sha(b"\x01" + naive_root(entries[:k]) + naive_root(entries[k:]))


def entries(count: int) -> list[bytes]:
    return [f"line {i}".encode() for i in range(count)]


def grown(several: Sequence[bytes]) -> CompactRange:
    tree = CompactRange()
    for entry in several:
        tree.append(leaf_hash(entry))
    return tree


KNOWN_ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
"""The published roots of the Certificate Transparency test vectors."""
CT_ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip


@pytest.mark.parametrize(("size", "root"), KNOWN_ROOTS.items())
def test_the_roots_are_those_that_everybody_gets(size: int, root: str) -> None:
    assert naive_root(CT_ENTRIES[:size]).hex() == root
    assert grown(CT_ENTRIES[:size]).root().hex() == root


def test_the_compact_range_agrees_with_the_whole_tree_at_every_size() -> None:
    tree = CompactRange()

    for size in range(201):
        assert tree.size == size
        assert tree.root() == naive_root(entries(size))
        tree.append(leaf_hash(b"line %d" % size))


@pytest.mark.parametrize("size", range(40))
def test_a_tree_goes_on_from_its_stored_edge(size: int) -> None:
    stored = grown(entries(size))

    loaded = CompactRange(stored.size, stored.edge)
    for entry in entries(57)[size:]:
        loaded.append(leaf_hash(entry))

    assert len(stored.edge) == 32 * size.bit_count()
    assert loaded.root() == naive_root(entries(57))


def test_an_edge_of_another_size_is_not_taken() -> None:
    edge = grown(entries(3)).edge

    for size, wrong in ((2, edge), (3, edge[:-1]), (3, edge + b"x"), (3, edge[:32]), (0, edge)):
        with pytest.raises(AssertionError):
            CompactRange(size, wrong)


# Verification --------------------------------------------------------------------------------


def exported(count: int) -> tuple[list[ExportedLine], Head]:
    contents = entries(count)
    lines = [ExportedLine(seq=i, content=c, leaf=leaf_hash(c)) for i, c in enumerate(contents)]
    return lines, Head(size=count, root=naive_root(contents))


def edited(line: ExportedLine, *, leaf_too: bool = False) -> ExportedLine:
    content = line.content + b"!"
    return replace(line, content=content, leaf=leaf_hash(content) if leaf_too else line.leaf)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64])
def test_an_untouched_export_is_found_good(count: int) -> None:
    lines, head = exported(count)

    verdict = verify_lines(lines, head)

    assert verdict.ok
    assert (verdict.size, verdict.root, verdict.fault, verdict.bad_seq) == (
        count,
        head.root,
        "",
        None,
    )


@given(count=st.integers(2, 40), data=st.data())
def test_the_first_bad_line_is_named(count: int, data: st.DataObject) -> None:
    lines, head = exported(count)
    place = data.draw(st.integers(0, count - 2))
    other = data.draw(st.integers(place + 1, count - 1))
    swapped = lines.copy()
    swapped[place], swapped[other] = swapped[other], swapped[place]
    renumbered = swapped.copy()
    for i in (place, other):
        renumbered[i] = replace(renumbered[i], seq=i)
    only_contents = [replace(line, content=swapped[i].content) for i, line in enumerate(lines)]
    broken = {
        "content": ([*lines[:place], edited(lines[place]), *lines[place + 1 :]], place),
        "gap": ([*lines[:place], *lines[place + 1 :]], place),
        "doubled": ([*lines[: place + 1], *lines[place:]], place + 1),
        "swapped": (swapped, place),
        "renumbered": (renumbered, None),
        "contents swapped": (only_contents, place),
        "leaf too": (
            [*lines[:place], edited(lines[place], leaf_too=True), *lines[place + 1 :]],
            None,
        ),
        "cut": (lines[: place + 1], place + 1),
    }
    faults = {
        "content": "content", "gap": "gap", "doubled": "gap", "swapped": "gap", "renumbered": "root",
        "contents swapped": "content", "leaf too": "root", "cut": "size",
    }  # fmt: skip

    for how, (bad, seq) in broken.items():
        verdict = verify_lines(bad, head)
        assert not verdict.ok, how
        assert (verdict.fault, verdict.bad_seq) == (faults[how], seq), how


@given(count=st.integers(0, 20), added=st.integers(1, 5))
def test_appended_lines_are_named_from_the_first_that_was_not_counted(
    count: int, added: int
) -> None:
    lines, _ = exported(count + added)
    _, head = exported(count)

    verdict = verify_lines(lines, head)

    assert (verdict.ok, verdict.fault, verdict.bad_seq) == (False, "size", count)


# Bytes ---------------------------------------------------------------------------------------

LINE = Line(
    act="callout.answered",
    actor="contact:12",
    bulletin_id=3,
    escalation_id=4,
    callout_id=5,
    from_state="calling",
    to_state="answered",
    why="in_time",
    happened_at=AT - timedelta(seconds=1),
    data={
        "kind": AnswerKind.RECEIVED,
        "rung": 6,
        "region": "柳沟",
        "late": False,
        "none": None,
        "ids": (1, [2]),
    },
)


def test_a_line_is_written_as_exactly_these_bytes() -> None:
    assert body(LINE, line_id=7, entered_at=AT).decode() == (
        '{"act":"callout.answered","actor":"contact:12","at":"2026-07-01T03:04:05.678Z","bulletin":3,'
        '"callout":5,"data":{"ids":[1,[2]],"kind":"received","late":false,"none":null,'
        '"region":"柳沟","rung":6},"escalation":4,"from":"calling",'
        '"happened":"2026-07-01T03:04:04.678Z","id":7,"to":"answered","v":1,"why":"in_time"}'
    )


def test_what_a_line_does_not_say_takes_no_space() -> None:
    assert body(Line(act="x"), line_id=1, entered_at=AT) == (
        b'{"act":"x","actor":"system","at":"2026-07-01T03:04:05.678Z","id":1,"v":1}'
    )


def test_the_bytes_do_not_depend_on_the_order_of_the_data() -> None:
    backwards = replace(LINE, data=dict(reversed(LINE.data.items())))

    assert body(backwards, line_id=7, entered_at=AT) == body(LINE, line_id=7, entered_at=AT)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-WHOLE_NUMBER_MAX + 1, WHOLE_NUMBER_MAX - 1)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), VALUES))
def test_reading_a_line_and_writing_it_again_gives_the_same_bytes(data: dict[str, object]) -> None:
    content = body(Line(act="x", data=data), line_id=1, entered_at=AT)

    assert canonical(json.loads(content)) == content
    assert json.loads(content).get("data", {}) == data


@pytest.mark.parametrize(
    "value",
    [1.5, float("nan"), float("inf"), WHOLE_NUMBER_MAX, [1.0], {"x": 0.1}, {1: "x"}, AT, b"x", {1}],
)
def test_what_two_programs_would_write_differently_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        body(Line(act="x", data={"value": value}), line_id=1, entered_at=AT)


def test_instants_are_utc_whatever_zone_they_came_in() -> None:
    beijing = timezone(timedelta(hours=8))

    assert instant(AT.astimezone(beijing)) == instant(AT) == "2026-07-01T03:04:05.678Z"
    with pytest.raises(AssertionError):
        instant(AT.replace(tzinfo=None))


def test_a_leaf_is_never_a_node() -> None:
    assert leaf_hash(b"") == sha(b"\x00") != EMPTY_ROOT == sha(b"")
