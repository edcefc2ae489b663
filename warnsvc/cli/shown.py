"""How values and bulletins are shown on a terminal: with the words of the console."""

from rich.text import Text

from warnsvc.cli.ui import Ui
from warnsvc.core.bulletin import Bulletin
from warnsvc.localtime import LocalTime
from warnsvc.service.context import Context
from warnsvc.web.label import BULLETIN, COLOUR, STATUS
from warnsvc.web.show import Show


def show_of(ui: Ui, desk: Context) -> Show:
    """Return what shows values in the reader's language and the desk's zone."""
    return Show(ui.language, ui.words, LocalTime(desk.settings.zone), desk.clock.now())


def title_of(ui: Ui, shown: Show, hazard: str, colour: str) -> str:
    """Return what is coming and how bad."""
    return f"{shown.hazard(hazard)} {ui.words(COLOUR[colour].words)}"


def heading_of(ui: Ui, shown: Show, found: Bulletin) -> Text:
    """Number, REAL or DRILL, what and how bad, and where it is in its life."""
    style = "bold black on yellow" if found.is_drill else "bold white on red"
    label = STATUS[found.status.value]
    return Text.assemble(
        f"{found.id}  ",
        (f" {label.sign} {ui.words(label.words)} ", style),
        f"  {title_of(ui, shown, found.hazard, found.colour.value)}",
        f"  {ui.words(BULLETIN[found.state.value].words)}  {found.identifier}",
    )
