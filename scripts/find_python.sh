#!/bin/sh
# Print a Python that works and is new enough. One that answers is taken, not one that is only there:
# version managers leave names behind that stand for nothing.
set -u

for python in ${1:-python3.13 python3.12 python3.11 python3 python}; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        command -v "$python"
        exit 0
    fi
done

if [ -n "${1:-}" ]; then
    echo "PYTHON=$1 does not run, or is older than 3.11." >&2
else
    echo 'warnsvc needs Python 3.11 or newer, and none was found on the PATH.' >&2
    echo 'Install one (Debian: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3' >&2
fi
exit 1
