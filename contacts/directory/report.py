"""What an import did, or would do: the numbers and the faults.

It is the same value for a dry run and for the real one, so that what was promised can be compared
with what was done. It holds no full telephone number.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from contacts.directory.fault import Fault, FaultList

Progress = Callable[[int, int], None]
"""Called with (done, total), about once per PROGRESS_ROWS rows and at the end."""
PROGRESS_ROWS = 500
"""Often enough for a bar to move, seldom enough not to cost anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """The outcome of one import. Nothing was written if there is a fault or it was a dry run."""

    dry_run: bool
    applied: bool
    rows_read: int
    added: int = 0
    """Regions or contacts that were not there."""
    changed: int = 0
    """Regions or contacts of which something differs: a field, a number, a duty."""
    unchanged: int = 0
    removed: int = 0
    """Duties taken away because the file is complete for its regions and does not have them."""
    faults: tuple[Fault, ...] = ()
    """In the order of the file; at most 500."""
    fault_count: int = 0
    warnings: tuple[Fault, ...] = ()
    warning_count: int = 0

    @property
    def faults_unlisted(self) -> int:
        """How many faults are counted but not listed."""
        return self.fault_count - len(self.faults)

    def as_document(self) -> Mapping[str, object]:
        """Return plain values for `--json` and the API."""
        return {**asdict(self), "faults_unlisted": self.faults_unlisted}


def refusal(
    *, rows_read: int, faults: FaultList, warnings: FaultList, dry_run: bool
) -> ImportReport:
    """Return the report of an import that wrote nothing because of its faults."""
    return ImportReport(
        dry_run=dry_run,
        applied=False,
        rows_read=rows_read,
        faults=faults.listed(),
        fault_count=faults.count,
        warnings=warnings.listed(),
        warning_count=warnings.count,
    )


def tick(progress: Progress | None, done: int, total: int) -> None:
    """Tell whoever waits how far it is, if anybody does."""
    if progress is not None and (done % PROGRESS_ROWS == 0 or done == total):
        progress(done, total)
