"""What the README says of carriers is what their adapters say."""

from channels.registry import ADAPTERS
from scripts import carriers_table


def test_the_tables_of_carriers_are_what_the_adapters_say() -> None:
    page = carriers_table.PAGE.read_text(encoding="utf-8")

    assert carriers_table.written(page) == page, "run `make docs`"


def test_every_adapter_has_a_row_and_a_page_that_is_there() -> None:
    assert {row.adapter for row in carriers_table.ROWS} == ADAPTERS.keys()
    for row in carriers_table.ROWS:
        link = row.setup.partition("](")[2].rstrip(")")
        assert not link or (carriers_table.ROOT / link).is_file(), row.setup
