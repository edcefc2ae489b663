"""Whose fault it is: the database's, which passes and blames nobody, or what was being done."""

from warnsvc.store.port import IntegrityFault, StoreFault


def is_databases_own(fault: Exception) -> bool:
    """Whether the database itself failed. Rows that break its rules are their maker's fault."""
    return isinstance(fault, StoreFault) and not isinstance(fault, IntegrityFault)
