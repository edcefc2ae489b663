"""Where the files are that are not code: templates, translations, static files, migrations.

In a checkout `templates/` lies beside the package; in a wheel it lies inside. It also sees to it
that the top-level packages `channels` and `contacts` are ours. It reads nothing itself.
"""

import importlib
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parent

OUR_PACKAGES = ("channels", "contacts")
"""Top-level names that another distribution might also install (Django Channels does)."""

OUR_MARK = "warnsvc"
"""What `WARNSVC` says in a package of ours."""


class ResourceMissing(Exception):
    """The installation is not whole; the message says what is missing and where it was sought."""


class ForeignPackage(Exception):
    """A package of another distribution stands where ours should be."""


def templates_dir() -> Path:
    """Return the folder of templates: web/, phones/, sms/, voice/, locale/."""
    return _first_dir(PACKAGE_DIR / "templates", PACKAGE_DIR.parent / "templates")


def locale_dir() -> Path:
    """Return the folder of translations: one folder a language, holding .po files."""
    return _first_dir(templates_dir() / "locale")


def static_dir() -> Path:
    """Return the folder of what browsers fetch as it is: styles, scripts, pictures."""
    return _first_dir(PACKAGE_DIR / "web" / "static")


def migrations_dir() -> Path:
    """Return the folder that alembic runs from."""
    return _first_dir(PACKAGE_DIR / "store" / "migrations")


def check_packages() -> None:
    """Raise ForeignPackage when `channels` or `contacts` is not the one that came with warnsvc."""
    for name in OUR_PACKAGES:
        module = importlib.import_module(name)
        # Two distributions with one top-level name overwrite each other's files in place, so the
        # folder may be right and the content foreign: the mark in the code decides.
        if getattr(module, "WARNSVC", None) != OUR_MARK:
            raise ForeignPackage(
                f"the package {name!r} in {module.__file__} is not warnsvc's: another distribution "
                "has one of the same name. Install warnsvc into an environment of its own "
                "(uv tool, pipx, container, venv)."
            )


def _first_dir(*candidates: Path) -> Path:
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    sought = " or ".join(str(candidate) for candidate in candidates)
    raise ResourceMissing(f"there is no {sought}; warnsvc is not installed whole")
