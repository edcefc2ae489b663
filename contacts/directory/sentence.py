"""The sentences of every fault and warning, Chinese and English, keyed by code.

Each says what is wrong and what to do. Words only: the rules are where the codes are raised. The
codes are stable, since programs read them from `--json`; a test holds that each one is raised.
"""

from collections.abc import Mapping

_FILE: Mapping[str, tuple[str, str]] = {
    "file_too_big": (
        "文件超过 {limit} MB。请删去无关的工作表和图片，或分成几个文件。",
        "The file is larger than {limit} MB. Remove other sheets and pictures, or split it.",
    ),
    "empty_file": (
        "文件是空的。请检查是否选错了文件。",
        "The file is empty. Check that it is the right one.",
    ),
    "no_rows": (
        "只有表头，没有数据行。",
        "There is a heading row and nothing below it.",
    ),
    "no_header": (
        "找不到表头。前 {rows} 行中应有一行写着：{wanted}。",
        "No heading row was found. One of the first {rows} rows must name: {wanted}.",
    ),
    "wrong_encoding": (
        "文字编码不是 UTF-8 或 GB18030。请在表格软件中另存为“CSV UTF-8”或 .xlsx。",
        "The text is neither UTF-8 nor GB18030. Save it as CSV UTF-8 or as .xlsx.",
    ),
    "not_a_table": (
        "这不是 CSV 或 .xlsx 文件。请另存为其中一种。",
        "This is neither a CSV nor an .xlsx file. Save it as one of them.",
    ),
    "old_excel": (
        "这是旧式 .xls 或加密的文件。请去掉密码，另存为 .xlsx。",
        "This is an old .xls or an encrypted file. Remove the password and save it as .xlsx.",
    ),
    "broken_workbook": (
        ".xlsx 文件已损坏。请在表格软件中打开并重新保存。",
        "The .xlsx file is damaged. Open it in a spreadsheet program and save it again.",
    ),
    "unsafe_workbook": (
        ".xlsx 文件展开后过大或结构异常（{what}），为安全起见不读取。请把数据复制到新文件。",
        "The .xlsx file is unsafe to unpack ({what}); it was not read. Copy the data to a new one.",
    ),
    "too_many_rows": (
        "超过 {limit} 行。请分成几个文件。",
        "There are more than {limit} rows. Split the file.",
    ),
    "too_many_columns": (
        "超过 {limit} 列。请删去无关的列。",
        "There are more than {limit} columns. Remove the ones that don't belong.",
    ),
    "broken_quotes": (
        "从这一行起引号不成对，后面的内容无法分列。请补上或删去引号。",
        "From this row on the quotation marks don't pair up. Add or remove the missing one.",
    ),
    "missing_column": (
        "缺少“{column_zh}”列。请加上这一列（也可写作 {column_en}）。",
        "The column “{column_en}” (or {column_zh}) is missing. Add it.",
    ),
    "duplicate_column": (
        "“{heading}”列出现两次（也可能是中英文两种写法）。请只留一列。",
        "The column “{heading}” stands twice (perhaps in two languages). Keep one.",
    ),
    "broken_boundary_file": (
        "这不是 GeoJSON FeatureCollection。请导出为 GeoJSON（WGS 84）。",
        "This is not a GeoJSON FeatureCollection. Export it as GeoJSON (WGS 84).",
    ),
}

_CELL: Mapping[str, tuple[str, str]] = {
    "ragged_row": (
        "这一行有 {cells} 格，表头有 {headings} 格。请检查是否多了或少了分隔符。",
        "The row has {cells} cells and the heading row {headings}. Look for a separator too many "
        "or too few.",
    ),
    "merged_cells": (
        "合并的单元格 {cells} 只有左上角有值。请取消合并并逐格填写。",
        "The merged cells {cells} hold a value only at the top left. Unmerge and fill each cell.",
    ),
    "cell_too_long": (
        "这一格有 {chars} 个字符，最多 {limit} 个。",
        "The cell has {chars} characters; at most {limit} are allowed.",
    ),
    "control_character": (
        "含有换行或看不见的控制字符（{char}）。请删去后重新输入这一格。",
        "There is a line break or an invisible control character ({char}). Type the cell anew.",
    ),
    "bidi_control": (
        "含有改变文字方向的隐形字符（{char}），显示的内容可能与实际不同。请重新输入这一格。",
        "An invisible character ({char}) changes the writing direction, so what is seen may not "
        "be what is stored. Type the cell anew.",
    ),
    "garbled": (
        "含有乱码。请用正确的编码重新导出这个文件。",
        "The text is garbled. Export the file again with the right encoding.",
    ),
    "formula": (
        "以“{char}”开头，会被当作公式。请删去这个字符；确实需要时在最前面加一个单引号 '。",
        "It begins with “{char}” and would run as a formula. Remove that character, or put a "
        "single quote ' before it if it is meant.",
    ),
    "formula_cell": (
        "这一格是公式。请复制后“选择性粘贴—数值”。",
        "The cell is a formula. Copy it and paste it as a value.",
    ),
    "error_cell": (
        "这一格是表格软件的错误值。请填上正确的内容。",
        "The cell holds a spreadsheet error. Enter the right content.",
    ),
    "missing_value": (
        "这一格必须填写。",
        "The cell must not be empty.",
    ),
    "text_too_long": (
        "最多 {limit} 个字，这里有 {chars} 个。",
        "At most {limit} characters are allowed; there are {chars}.",
    ),
    "unknown_word": (
        "不认识这个词。可以填：{words}。",
        "This word is not known. Allowed: {words}.",
    ),
    "bad_date": (
        "不是有效的日期。请写成 2026-05-01。",
        "This is not a date. Write 2026-05-01.",
    ),
    "date_is_number": (
        "日期变成了数字。请把这一列设为日期格式，或写成 2026-05-01。",
        "The date has turned into a number. Format the column as a date, or write 2026-05-01.",
    ),
    "dates_reversed": (
        "失效日期早于生效日期。",
        "The last day lies before the first day.",
    ),
}

_REGION: Mapping[str, tuple[str, str]] = {
    "bad_region_code": (
        "区划代码应为 12 位数字（不足补 0）；场所和隐患点在其后加 -S001 或 -Z001。",
        "A region code has 12 digits (padded with zeros); a site or zone adds -S001 or -Z001.",
    ),
    "rounded_code": (
        "区划代码被表格软件改成了科学计数法，末位已丢失。请把这一列设为文本后重新填写。",
        "The spreadsheet has rounded the code. Format the column as text and enter it again.",
    ),
    "suffix_needs_site": (
        "带 -S 或 -Z 的代码只能用于场所或隐患点。",
        "Only a site or a zone may have a code with -S or -Z.",
    ),
    "bad_headcount": (
        "人口应为 0 到 {limit} 的整数。",
        "The headcount must be a whole number from 0 to {limit}.",
    ),
    "duplicate_region": (
        "区划代码与第 {other} 行重复。请只留一行。",
        "The code stands in row {other} already. Keep one row.",
    ),
    "unknown_parent": (
        "上级代码既不在文件中，也不在系统中。请先加上上级，或更正代码。",
        "The parent is neither in the file nor in the system. Add it first, or mend the code.",
    ),
    "parent_ring": (
        "上级关系成了环：{ring}。请更正其中一个上级代码。",
        "The parents form a ring: {ring}. Mend one of them.",
    ),
    "level_order": (
        "级别（{level}）不在上级 {parent} 的级别（{parent_level}）之下。请更正级别或上级代码。",
        "The level ({level}) does not lie below that of the parent {parent} ({parent_level}). "
        "Mend the level or the parent.",
    ),
    "unknown_region": (
        "系统中没有这个区划代码。请先导入区域，或更正代码。",
        "There is no such region. Import the regions first, or mend the code.",
    ),
    "bad_geometry": (
        "边界应为闭合的 Polygon 或 MultiPolygon，经纬度为 WGS 84，最多 {limit} 个点。",
        "A boundary must be a closed Polygon or MultiPolygon in WGS 84, at most {limit} points.",
    ),
}

_CONTACT: Mapping[str, tuple[str, str]] = {
    "bad_key": (
        "编号只能用字母、数字和 . _ - ，最多 {limit} 个字符。",
        "A key has letters, digits and . _ - only, at most {limit} characters.",
    ),
    "no_number": (
        "没有任何电话或回调地址，无法叫应。请至少填一个。",
        "There is no phone and no webhook, so nobody can be reached. Give at least one.",
    ),
    "bad_webhook": (
        "回调地址应以 https:// 开头，含主机名，不含空格和密码。",
        "A webhook is an https:// address with a host, without spaces and without a password.",
    ),
    "bad_tier": (
        "层级应为 1 到 9 的整数，1 最先叫。",
        "The tier must be a whole number from 1 to 9; 1 is called first.",
    ),
    "half_a_duty": (
        "区划代码和层级必须同时填写，或同时留空。",
        "Give both the region and the tier, or neither.",
    ),
    "unknown_hazard": (
        "不认识灾种“{word}”。请写代码（如 11B03）或规定的名称，多个用逗号隔开；全部灾种请留空。",
        "The hazard “{word}” is not known. Write codes (11B03) or the listed names, separated by "
        "commas; leave it empty for all hazards.",
    ),
    "duplicate_duty": (
        "同一人在同一区域、层级和角色的责任与第 {other} 行重复。请只留一行。",
        "The same person's duty for this region, tier and role stands in row {other}. Keep one.",
    ),
    "contact_conflict": (
        "与第 {other} 行是同一个人（{key}），但“{field}”不同。请改成一致，或更正编号。",
        "Row {other} is the same person ({key}), but “{field}” differs. Make them agree, or mend "
        "the key.",
    ),
    "phone_letters": (
        "电话中有数字和分隔符以外的字符。请只写号码，说明写在职务列。",
        "There is more than digits and separators. Write the number alone; put notes elsewhere.",
    ),
    "phone_float": (
        "号码被表格软件改成了小数或科学计数法，数字可能已丢失。请把这一列设为文本后重新填写。",
        "The spreadsheet has turned the number into a decimal, and digits may be lost. Format the "
        "column as text and enter it again.",
    ),
    "phone_several": (
        "一格里有多个号码。请把第二个填到“电话2”列。",
        "There are several numbers in the cell. Put the second into the column phone2.",
    ),
    "phone_extension": (
        "机器不能拨分机。请填直线电话或手机。",
        "A robot can't dial an extension. Give a direct line or a mobile.",
    ),
    "phone_area_code_missing": (
        "固定电话缺少区号。请写成 0990-6888888 的样子。",
        "The landline has no area code. Write it like 0990-6888888.",
    ),
    "phone_too_short": (
        "号码位数不够。请核对。",
        "Digits are missing. Check the number.",
    ),
    "phone_too_long": (
        "号码位数太多。请核对。",
        "There are too many digits. Check the number.",
    ),
    "phone_short_number": (
        "这是特服短号，不是某个人的电话。请填本人的号码。",
        "This is a service number and nobody's phone. Give the person's own number.",
    ),
    "phone_service": (
        "这是客服热线，不是某个人的电话。请填本人的号码。",
        "This is a hotline and nobody's phone. Give the person's own number.",
    ),
    "phone_unassigned": (
        "没有这样的号段。请核对号码。",
        "No operator has such a number. Check it.",
    ),
    "phone_invented": (
        "这是演示用的虚构号码，打不通任何人。请填真实号码。",
        "This is an invented number of the demo and reaches nobody. Give a real one.",
    ),
}

_WARNING: Mapping[str, tuple[str, str]] = {
    "unknown_column": (
        "不认识“{heading}”列，没有导入。",
        "The column “{heading}” is not known and was not imported.",
    ),
    "hidden_row": (
        "这一行在表格中是隐藏的，但也会导入。",
        "The row is hidden in the workbook but counts all the same.",
    ),
    "other_sheets": (
        "只读取了工作表“{sheet}”；其余工作表没有读取：{others}。",
        "Only the sheet “{sheet}” was read. Not read: {others}.",
    ),
    "no_duty": (
        "这个联系人没有责任区域，不会被叫到。",
        "The contact has no duty and will not be called.",
    ),
    "shared_number": (
        "这个号码还属于另一个联系人（{other}）。如果是同一个人，请用同一个编号。",
        "The number belongs to another contact as well ({other}). Give both rows one key if it is "
        "the same person.",
    ),
    "repeated_number": (
        "同一个号码在这一行写了两次，只保留一次。",
        "The row has the same number twice; it is kept once.",
    ),
    "reactivated": (
        "这个联系人曾被停用，导入后重新启用。",
        "The contact had been taken out of use; the import puts it back.",
    ),
    "boundary_skipped": (
        "系统中没有区划 {region}，这条边界没有导入。",
        "There is no region {region}; this boundary was not imported.",
    ),
    "first_kept": (
        "同一个人的“{field}”与第 {other} 行不同，保留第 {other} 行的。",
        "The same person's “{field}” differs from row {other}; that of row {other} is kept.",
    ),
    "invented_numbers": (
        "有 {count} 个演示用的虚构号码，只有模拟运营商能接通。",
        "There are {count} invented numbers of the demo: only the simulated carrier reaches them.",
    ),
}

SENTENCES: Mapping[str, tuple[str, str]] = {**_FILE, **_CELL, **_REGION, **_CONTACT, **_WARNING}
"""Code → (Chinese, English)."""
