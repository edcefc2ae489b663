"""Write the tables of docs/SETTINGS.md from the fields of `warnsvc.settings`.

`make docs` runs it; `tests/test_settings.py` fails when the page and the code differ.
"""

import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from warnsvc.settings import ENV_PREFIX, CarrierSettings, RouteSettings, Settings  # noqa: E402

PAGE = ROOT / "docs" / "SETTINGS.md"


def written(page: str) -> str:
    """Return the page with its tables brought up to date."""
    page = _replaced(page, "settings", _settings_table())
    page = _replaced(page, "carriers", _table(CarrierSettings))
    return _replaced(page, "routes", _table(RouteSettings))


def _settings_table() -> str:
    rows = ["| In the file | In the environment | Default | Meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        rows.append(
            f"| `{name}` | `{ENV_PREFIX}{name.upper()}` | {_default(field)} | {_meaning(field)} |"
        )
    return "\n".join(rows)


def _table(model: type[BaseModel]) -> str:
    rows = ["| Key | Default | Meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        rows.append(f"| `{name}` | {_default(field)} | {_meaning(field)} |")
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*needed*"
    default: Any = field.default
    if default is PydanticUndefined or default in (None, "", (), {}):
        return "–"
    assert not isinstance(default, SecretStr), "a secret has no default"
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    return f"`{shown}`"


def _meaning(field: FieldInfo) -> str:
    assert field.description, "every setting says what it means"
    return field.description.replace("|", r"\|")


def _replaced(page: str, name: str, table: str) -> str:
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    assert found_begin, f"{PAGE} has no place for the table of {name}"
    assert found_end, f"{PAGE} does not end the table of {name}"
    return f"{before}{begin}\n{table}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
