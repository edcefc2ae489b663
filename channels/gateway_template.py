"""Templates of a gateway profile: text with names in braces, and nothing else.

    "{to}"            the value itself, with its type: a number stays a number in JSON
    "86{to_national}" text around it
    "{{"              a brace

There are no expressions, attributes or formats in it, so a profile can say what goes where and
cannot run anything. A name that does not exist is a fault when the profile is read, not at night.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from string import Formatter
from typing import Any


class TemplateFault(ValueError):
    """A template cannot be read; the text says why and what there is instead."""


@dataclass(frozen=True, slots=True)
class Template:
    """Pieces of text, each with the name that follows it ("" after the last)."""

    pieces: tuple[tuple[str, str], ...]

    @property
    def names(self) -> frozenset[str]:
        """Return the names it asks for."""
        return frozenset(name for _, name in self.pieces if name)

    def render(self, values: Mapping[str, Any]) -> str:
        """Return the text with values in it."""
        return "".join(f"{text}{values[name]}" if name else text for text, name in self.pieces)

    def value(self, values: Mapping[str, Any]) -> Any:
        """Return the value alone when the template is one name, else the text."""
        if len(self.pieces) == 1 and not self.pieces[0][0] and self.pieces[0][1]:
            return values[self.pieces[0][1]]
        return self.render(values)


def read_template(text: str, names: Collection[str] | None = None) -> Template:
    """Return the template in `text`. `names`: those there are; None: any. Raises TemplateFault."""
    try:
        pieces = tuple(_piece(*piece) for piece in Formatter().parse(text))
    except ValueError as fault:
        raise TemplateFault(f"{fault}; write a brace itself as {{{{ or }}}}") from None
    for name in (name for _, name in pieces if name):
        if names is not None and name not in names:
            raise TemplateFault(f"there is no {{{name}}}; {instead(name, names)}")
    return Template(pieces or (("", ""),))


def _piece(
    text: str, name: str | None, form: str | None, conversion: str | None
) -> tuple[str, str]:
    if name is None:
        return text, ""
    if not name or form or conversion:
        raise ValueError("between braces stands a name, and nothing after it")
    return text, name


def names_in(fields: Any) -> frozenset[str]:
    """Return the names that the templates in tables and lists ask for."""
    if isinstance(fields, Template):
        return fields.names
    inner = fields.values() if isinstance(fields, Mapping) else fields
    if isinstance(inner, str) or not isinstance(inner, Iterable):
        return frozenset()
    return frozenset().union(*(names_in(one) for one in inner))


def instead(given: str, known: Collection[str]) -> str:
    """Return a hint: the name that was probably meant, or all there are."""
    close = get_close_matches(given, known, n=1)
    return f"perhaps {close[0]} is meant" if close else f"there are {', '.join(sorted(known))}"


def find(document: Any, path: str) -> Any:
    """Return what stands at `a.b.0.c` in a JSON value; None when it is not there. "": all of it."""
    here = document
    for step in path.split(".") if path else ():
        if isinstance(here, Mapping):
            here = here.get(step)
        elif isinstance(here, list) and step.isdecimal() and int(step) < len(here):
            here = here[int(step)]
        else:
            return None
    return here


def spelt(value: Any) -> str:
    """Return a JSON value as profiles write it; "" for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else written(value)


def written(value: Any) -> str:
    """Return a value as JSON; "" for what is nested deeper than we can follow."""
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    except RecursionError:
        return ""
