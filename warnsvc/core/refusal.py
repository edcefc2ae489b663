"""How the rules say no: a code that the screen turns into a sentence, and the field it is about."""

from collections.abc import Mapping


class Refusal(Exception):
    """A rule forbids this. `field` names the form field, or is empty for the whole act."""

    def __init__(self, code: str, *, field: str = "", **params: str | int) -> None:
        super().__init__(f"{code}{f' ({field})' if field else ''}")
        self.code = code
        self.field = field
        self.params: Mapping[str, str | int] = params


class Refusals(Exception):
    """Several refusals at once: every wrong field of a form, not only the first."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        super().__init__("; ".join(str(refusal) for refusal in refusals))
        self.refusals = refusals

    def by_field(self) -> dict[str, Refusal]:
        """Return the first refusal of each field."""
        return {r.field: r for r in reversed(self.refusals)}
