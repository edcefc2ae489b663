"""Tokens name a row, and nobody can make one up."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warnsvc.token import TOKEN_CHARS_MAX, read_cut_token, read_token, sign_token

SECRET = b"s" * 32
OTHER = b"t" * 32
ids = st.integers(min_value=0, max_value=2**63 - 1)


@given(ids)
def test_a_token_reads_back_as_its_id(number: int) -> None:
    token = sign_token(SECRET, "attempt", number)

    assert read_token([SECRET], "attempt", token) == number
    assert len(token) <= TOKEN_CHARS_MAX
    assert re.fullmatch(r"[0-9a-z]+\.[A-Za-z0-9_-]{22}", token)


@given(ids, ids)
def test_a_signature_is_good_for_its_own_id_only(one: int, other: int) -> None:
    signature = sign_token(SECRET, "attempt", one).partition(".")[2]
    name = sign_token(SECRET, "attempt", other).partition(".")[0]

    read = read_token([SECRET], "attempt", f"{name}.{signature}")

    assert read == (one if one == other else None)


@given(st.text(max_size=60))
def test_any_text_at_all_is_read_without_a_fault(text: str) -> None:
    assert read_token([SECRET], "attempt", text) is None


def test_an_attempts_token_is_not_a_callouts() -> None:
    assert read_token([SECRET], "callout", sign_token(SECRET, "attempt", 7)) is None


def test_during_a_rotation_both_secrets_read_and_afterwards_one() -> None:
    old_token = sign_token(OTHER, "attempt", 7)

    assert read_token([SECRET, OTHER], "attempt", old_token) == 7
    assert read_token([SECRET], "attempt", old_token) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: "0" + token,
        lambda token: token.upper(),
        lambda token: token + "=",
        lambda token: " " + token,
        lambda token: token[:-1],
        lambda token: token.replace(".", ""),
        lambda token: token.replace("7", "７", 1),
        lambda token: "+" + token,
        lambda token: "_" + token,
    ],
)
def test_a_row_has_exactly_one_spelling(spoil: object) -> None:
    token = sign_token(SECRET, "attempt", 7)
    assert callable(spoil)

    assert read_token([SECRET], "attempt", spoil(token)) is None


@given(st.integers(min_value=0, max_value=36**8 - 1))
def test_fifteen_bytes_of_a_token_name_its_row_where_the_speaker_is_known(number: int) -> None:
    cut = sign_token(SECRET, "attempt", number)[:15]

    assert read_cut_token([SECRET], "attempt", cut) == number
    assert read_cut_token([OTHER, SECRET], "attempt", cut) == number
    assert read_cut_token([OTHER], "attempt", cut) is None
    assert read_cut_token([SECRET], "callout", cut) is None
    assert read_token([SECRET], "attempt", cut) is None


@pytest.mark.parametrize("chars", range(6))
def test_too_little_of_a_signature_is_none(chars: int) -> None:
    name, _, signature = sign_token(SECRET, "attempt", 1742).partition(".")

    assert read_cut_token([SECRET], "attempt", f"{name}.{signature[:chars]}") is None


@given(st.text(max_size=60))
def test_any_cut_text_at_all_is_read_without_a_fault(text: str) -> None:
    assert read_cut_token([SECRET], "attempt", text) is None
