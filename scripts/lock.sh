#!/bin/sh
# Write the lock files anew: versions and hashes, and no word of where packages come from.
#
#   requirements.lock        what runs
#   requirements-build.lock  what makes a wheel or an editable install
#   requirements-dev.lock    all of it, and what tests and checks
#
# Pins stay as they are where they still fit; delete a lock file first to raise everything.
set -eu
cd "$(dirname "$0")/.."

python=${1:?usage: scripts/lock.sh PYTHON}
tools=build/lock-venv

"$python" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv

compile() {
    "$tools/bin/uv" pip compile pyproject.toml --quiet --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-emit-find-links --no-header "$@"
}

compile -o requirements.lock
compile --group test --group check --group build -c requirements.lock -o requirements-dev.lock
"$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
    --group pyproject.toml:build -c requirements-dev.lock -o requirements-build.lock

if grep -n '://\|^--' requirements.lock requirements-build.lock requirements-dev.lock; then
    echo 'A lock file names an address; it must hold versions and hashes only.' >&2
    exit 1
fi
