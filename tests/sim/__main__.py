"""`python -m tests.sim`: see `tests.sim.campaign`. A pool of processes can import that, not this."""

import sys

from tests.sim.campaign import main

if __name__ == "__main__":
    sys.exit(main())
