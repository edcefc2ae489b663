"""What a command says: sentences and tables on stdout, bars and complaints on stderr, or JSON.

With `--json` stdout holds one JSON document and nothing else; bars are drawn on a terminal only, so
a log of a nightly import stays readable. It masks phone numbers; it decides nothing.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from warnsvc.words import Translate

Tick = Callable[[int, int], None]
"""Called with (done, total)."""


class Failed(Exception):
    """The command has said what is wrong and ends with this code."""

    def __init__(self, code: int = 1) -> None:
        super().__init__(code)
        self.code = code


def _console(*, stderr: bool) -> Console:
    return Console(stderr=stderr, highlight=False, soft_wrap=not sys.stdout.isatty())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ui:
    """The voice of one run of the command."""

    language: str
    words: Translate
    out: Console = field(default_factory=lambda: _console(stderr=False))
    err: Console = field(default_factory=lambda: _console(stderr=True))

    def say(self, sentence: str) -> None:
        """Say one line on stdout. Square brackets are taken as they are."""
        self.out.print(escape(sentence))

    def done(self, sentence: str) -> None:
        """Say that something was done."""
        self.out.print(f"[green]✓[/] {escape(sentence)}")

    def note_done(self, sentence: str) -> None:
        """Say on stderr that a file was written: stdout may be that file."""
        self.err.print(f"[green]✓[/] {escape(sentence)}")

    def note(self, sentence: str) -> None:
        """Remark on something, on stderr."""
        self.err.print(f"[yellow]![/] {escape(sentence)}")

    def complain(self, sentence: str, advice: str = "") -> None:
        """Say on stderr what is wrong and what to do."""
        self.err.print(f"[bold red]✗[/] {escape(sentence)}")
        if advice:
            self.err.print(f"  {escape(advice)}")

    def json(self, document: Any) -> None:
        """Write one JSON document on stdout."""
        text = json.dumps(document, ensure_ascii=False, indent=2, default=str)
        self.out.file.write(f"{text}\n")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Show rows in columns; the last column takes the room that is left."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in headings:
            table.add_column(escape(heading), overflow="fold")
        for row in rows:
            table.add_row(*(escape(str(cell)) for cell in row))
        self.out.print(table)

    @contextmanager
    def bar(self, title: str) -> Iterator[Tick]:
        """Draw a bar while something long runs; yields what to call with (done, total)."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with self._progress(*columns) as progress:
            task = progress.add_task(escape(title), total=None)

            def tick(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            yield tick

    @contextmanager
    def steps(self) -> Iterator[Callable[[str], None]]:
        """Show what is being done while nothing can be counted; yields what to call with each."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with self._progress(*columns) as progress:
            task = progress.add_task("", total=None)
            yield lambda title: progress.update(task, description=escape(title))

    def _progress(self, *columns: ProgressColumn) -> Progress:
        """Return a display that vanishes when it is done, and is drawn on a terminal only."""
        hidden = not self.err.is_terminal
        return Progress(*columns, console=self.err, transient=True, disable=hidden)
