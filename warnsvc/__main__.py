"""`warnsvc` and `python -m warnsvc`: the command."""

import sys

from warnsvc.cli.main import run


def main() -> None:
    """Run the command and end with its code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
