"""Files however they were saved: encodings, separators, titles, hidden rows."""

import contextlib
import io

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from contacts.directory.cell import CELL_CHARS_MAX, clean, quote
from contacts.directory.column import CONTACT_COLUMNS, is_known
from contacts.directory.contact_draft import read_contacts
from contacts.directory.fault import CellRefused
from contacts.directory.region_import import read_regions
from tests.contacts.files import CONTACT_HEADINGS, as_csv, as_xlsx, contact, contact_csv

UYGHUR = "ئالىم نۇرجان"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("name", ["张三", "䶮堃", UYGHUR])
def test_the_encoding_is_found_out(encoding: str, name: str) -> None:
    rows = [contact(姓名=name), *(contact(编号=f"K{n}", 区划代码="990102100202") for n in range(9))]

    draft = read_contacts(as_csv(CONTACT_HEADINGS, *rows, encoding=encoding))

    assert not draft.faults
    assert draft.people[0].name == name


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_the_separator_is_found_out(mark: str) -> None:
    rows = as_csv(CONTACT_HEADINGS, contact()).decode().replace(",", mark)

    assert read_contacts(rows.encode()).people[0].key == "A1"


def test_headings_are_known_in_two_languages_and_many_spellings() -> None:
    for heading in (
        "电话",
        "* 电话 1（必填）",
        "Phone_1",
        "PHONE 1",
        "手机号码",
        "region_code",
        "回调地址",
    ):
        assert is_known(CONTACT_COLUMNS, heading), heading
    for heading in ("", "备注", "电话10", "phones"):
        assert not is_known(CONTACT_COLUMNS, heading), heading


def test_english_headings_and_words_are_read() -> None:
    data = as_csv(
        ["key", "name", "phone1", "phone2", "webhook", "robot", "language", "region_code", "tier"],
        ["A1", "Li", "13800138000", "0990-6888888", "", "no", "KK", "990102100201", "2"],
    )

    (person,) = read_contacts(data).people

    assert (person.robot_ok, person.language, person.duties[0].tier) == (False, "kk-Arab", 2)


def test_titles_above_and_blank_rows_between_do_not_shift_the_row_numbers() -> None:
    data = as_csv(
        ["云岭县责任人名单"],
        [],
        ["制表：应急局", "电话："],
        CONTACT_HEADINGS,
        [],
        contact(层级="x"),
    )

    (fault,) = read_contacts(data).faults

    assert (fault.row, fault.code) == (6, "bad_tier")


def test_a_quoted_line_break_counts_as_one_row_as_spreadsheets_count() -> None:
    data = contact_csv(contact(单位="甲\n乙"), contact(编号="A2", 层级="x"))

    assert [(f.row, f.code) for f in read_contacts(data).faults] == [
        (2, "control_character"),
        (3, "bad_tier"),
    ]


def test_hidden_rows_are_remarked_on() -> None:
    data = as_xlsx(CONTACT_HEADINGS, contact(), contact(编号="A2", 层级="2"), hidden=[3])

    draft = read_contacts(data)

    assert not draft.faults
    assert (3, "hidden_row") in {(warning.row, warning.code) for warning in draft.warnings}


def test_other_sheets_and_formats_at_the_far_corner_do_no_harm() -> None:
    packed = io.BytesIO()
    with xlsxwriter.Workbook(packed, {"in_memory": True}) as book:
        sheet, bold = book.add_worksheet("名单"), book.add_format({"bold": True})
        book.add_worksheet("说明")
        for number, row in enumerate((CONTACT_HEADINGS, contact())):
            sheet.write_row(number, 0, [text or None for text in row])
        sheet.write_blank(1_048_575, 16_383, None, bold)

    draft = read_contacts(packed.getvalue())

    assert (draft.faults.count, len(draft.people)) == (0, 1)
    assert [(w.code, "说明" in w.zh) for w in draft.warnings] == [("other_sheets", True)]


def test_columns_may_begin_further_right() -> None:
    data = as_xlsx(["", "", *CONTACT_HEADINGS], ["", "", *contact(单位="=A1")])

    assert [(f.row, f.column, f.code) for f in read_contacts(data).faults] == [
        (2, "单位", "formula_cell")
    ]


def test_a_placeholder_dash_is_an_empty_cell() -> None:
    (person,) = read_contacts(contact_csv(contact(电话2="—", 灾种="无", 单位="/"))).people

    assert (len(person.numbers or ()), person.duties[0].hazards, person.unit) == (1, "", None)


def test_a_single_quote_admits_what_would_run_as_a_formula() -> None:
    (person,) = read_contacts(contact_csv(contact(单位="'@家园小区"))).people

    assert person.unit == "@家园小区"


@given(text=st.text(max_size=60))
def test_what_is_quoted_reads_back_as_it_was(text: str) -> None:
    """For every text that a cell may hold at all, also `=1`, `'=1`, `-` and `无`."""
    stored = None
    with contextlib.suppress(CellRefused):
        stored = clean(quote(text))

    if stored is not None:
        assert clean(quote(stored)) == stored


@given(text=st.text(alphabet="=+-@\t\r '＝＠0123456789abc", max_size=12))
def test_nothing_that_is_quoted_runs_as_a_formula(text: str) -> None:
    assert quote(text)[:1] not in {"=", "+", "-", "@", "\t", "\r"}


@given(data=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_but_never_raise(data: bytes) -> None:
    for prefix in (b"", b"PK\x03\x04", "编号,姓名,电话,区划代码,层级\n".encode()):
        assert read_contacts(prefix + data).faults
        assert read_regions(prefix + data).faults


@given(cells=st.lists(st.text(max_size=40), min_size=15, max_size=15))
def test_any_cells_are_read_or_refused_but_never_raise(cells: list[str]) -> None:
    draft = read_contacts(contact_csv(contact(), cells))

    assert draft.rows_read <= 2


def test_a_cell_of_two_thousand_characters_is_the_longest() -> None:
    assert clean("x" * CELL_CHARS_MAX)
    with pytest.raises(CellRefused, match="cell_too_long"):
        clean("x" * (CELL_CHARS_MAX + 1))
