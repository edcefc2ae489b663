"""Routes as rules: what fits, who is next, and how sends are shared out."""

from hypothesis import given
from hypothesis import strategies as st

from warnsvc.core.route import (
    CALLEE_LIMIT,
    RouteRule,
    forgiven,
    left,
    next_after,
    refused_of,
    rule_of,
    share,
    with_refusal,
)

NAMES = st.sampled_from(["a", "b", "c", "d"])
ROUTES = st.lists(NAMES, unique=True, max_size=4)


def test_the_first_rule_that_fits_holds() -> None:
    china = RouteRule(kind="sms", carriers=("mas",), countries=frozenset({"86"}))
    uyghur = RouteRule(kind="sms", carriers=("b",), languages=frozenset({"ug"}))
    rest = RouteRule(kind="sms", carriers=("twilio",))
    rules = [china, uyghur, rest]

    assert rule_of(rules, "sms", "+8613900000000", "ug") is china
    assert rule_of(rules, "sms", "+77010000000", "ug") is uyghur
    assert rule_of(rules, "sms", "+77010000000", "zh") is rest
    assert rule_of(rules, "sms", "", "zh") is china
    assert rule_of(rules, "voice", "+8613900000000", "zh") is None


@given(ROUTES, st.lists(NAMES))
def test_nobody_is_asked_twice_while_another_is_left(route: list[str], asked: list[str]) -> None:
    refused_by = ""
    for name in asked:
        refused_by = with_refusal(refused_by, name)

    assert refused_of(refused_by) == set(asked)
    assert left(route, refused_by) == [name for name in route if name not in asked]
    for name in route:
        assert next_after(route, refused_by, name) not in {name, *asked}


@given(
    st.lists(ROUTES, max_size=12),
    st.dictionaries(NAMES, st.integers(0, 5)),
    st.dictionaries(NAMES, st.integers(0, 2)),
)
def test_shares_keep_to_routes_room_and_probes(
    routes: list[list[str]], room: dict[str, int], probes: dict[str, int]
) -> None:
    probes = {name: many for name, many in probes.items() if name not in room}

    given_ = share(routes, room=room, probes=probes)

    assert len(given_) == len(routes)
    for route, name in zip(routes, given_, strict=True):
        assert name is None or name in route
        working = next((n for n in route if n in room), None)
        if name in room:
            assert name == working, "only what is broken changes the order of a route"
    for name, many in room.items():
        assert given_.count(name) <= many
    for name, many in probes.items():
        assert given_.count(name) <= many


def test_only_passing_reasons_are_forgiven() -> None:
    refused_by = with_refusal(with_refusal("", "a", why="down"), "b", why="filtered")
    refused_by = with_refusal(refused_by, "c", why=CALLEE_LIMIT)

    assert refused_of(refused_by) == {"a", "b", "c"}
    assert refused_of(forgiven(refused_by)) == {"b"}
    assert forgiven("") == ""


def test_a_full_carrier_is_waited_for() -> None:
    assert share([["a", "b"]] * 3, room={"a": 2, "b": 9}, probes={}) == ["a", "a", None]


def test_a_probe_is_the_least_urgent_one_that_another_could_have_taken() -> None:
    assert share([["a", "b"]] * 3, room={"b": 9}, probes={"a": 1}) == ["b", "b", "a"]


def test_a_probe_is_what_there_is_when_nobody_else_works() -> None:
    assert share([["a", "b"]] * 2, room={}, probes={"a": 1}) == ["a", None]
