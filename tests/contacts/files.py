"""Files as offices send them: good ones to damage, in CSV and XLSX."""

import csv
import io
from collections.abc import Sequence

import xlsxwriter

PROVINCE, COUNTY, TOWN = "990000000000", "990102000000", "990102100000"
VILLAGE, OTHER_VILLAGE = "990102100201", "990102100202"

REGION_HEADINGS = ["区划代码", "上级代码", "级别", "名称", "人口"]
REGIONS = [
    [PROVINCE, "", "省级", "虚构省", "0"],
    [COUNTY, PROVINCE, "县级", "云岭县", "0"],
    [TOWN, COUNTY, "乡级", "云溪镇", "0"],
    [VILLAGE, TOWN, "村级", "上河湾村", "320"],
    [OTHER_VILLAGE, TOWN, "村级", "下河湾村", "280"],
]

CONTACT_HEADINGS = [
    *("编号", "姓名", "单位", "职务", "电话", "电话2", "回调地址", "语言", "允许机器呼叫"),
    *("区划代码", "层级", "角色", "灾种", "生效日期", "失效日期"),
]
CONTACT = {
    "编号": "A1",
    "姓名": "张三",
    "单位": "上河湾村",
    "职务": "村支书",
    "电话": "13800138000",
    "电话2": "",
    "回调地址": "",
    "语言": "zh",
    "允许机器呼叫": "是",
    "区划代码": VILLAGE,
    "层级": "1",
    "角色": "村支书",
    "灾种": "",
    "生效日期": "",
    "失效日期": "",
}


def contact(**changes: str) -> list[str]:
    """One row of a contact list, with these cells changed."""
    assert changes.keys() <= CONTACT.keys()
    return [{**CONTACT, **changes}[heading] for heading in CONTACT_HEADINGS]


def as_csv(*rows: Sequence[str], encoding: str = "utf-8") -> bytes:
    """Rows, headings first, as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(encoding)


def contact_csv(*rows: Sequence[str]) -> bytes:
    """Contact rows below the usual headings."""
    return as_csv(CONTACT_HEADINGS, *rows)


def region_csv(*rows: Sequence[str]) -> bytes:
    """Region rows below the usual headings."""
    return as_csv(REGION_HEADINGS, *rows)


def as_xlsx(
    *rows: Sequence[object], hidden: Sequence[int] = (), merged: Sequence[str] = ()
) -> bytes:
    """Rows as a workbook; numbers stay numbers and `=…` becomes a formula."""
    packed = io.BytesIO()
    with xlsxwriter.Workbook(packed, {"in_memory": True}) as book:
        sheet = book.add_worksheet("名单")
        for number, row in enumerate(rows):
            for at, value in enumerate(row):
                if value != "":
                    write = sheet.write_string if _is_text(value) else sheet.write
                    write(number, at, value)
        for number in hidden:
            sheet.set_row(number - 1, None, None, {"hidden": True})
        for cells in merged:
            sheet.merge_range(cells, "合并")
    return packed.getvalue()


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not value.startswith("=")
