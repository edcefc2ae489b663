#!/bin/sh
# Bring .venv up to date with a lock file: exactly those versions, exactly those hashes.
#
#   scripts/venv.sh run      what `make demo` needs
#   scripts/venv.sh dev      what tests and checks need: all of `run`, and more
set -eu
cd "$(dirname "$0")/.."

what=$1
venv=.venv

# A .venv whose Python has gone, or that was copied here from elsewhere, is made anew.
if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 ||
    [ "$("$venv/bin/python" -c 'import sys; print(sys.prefix)')" != "$PWD/$venv" ]; then
    python=$(scripts/find_python.sh "${PYTHON:-}")
    echo "Making $venv with $("$python" --version) …"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        scripts/debian.sh 'Making a virtual environment' \
            "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

case $what in
run) locks='requirements.lock requirements-build.lock' ;;
dev) locks='requirements-dev.lock' ;;
*) echo "scripts/venv.sh: run or dev, not $what" >&2 && exit 2 ;;
esac

pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check "$@"
}

set --
for lock in $locks; do
    set -- "$@" --requirement "$lock"
done
echo "Installing into $venv what $locks pin …"
pip install --quiet --require-hashes "$@"
# Everything the build needs is in a lock, so nothing unpinned is fetched behind our back.
pip install --quiet --no-deps --no-build-isolation --editable .

touch "$venv/.stamp-run"
[ "$what" = run ] || touch "$venv/.stamp-dev"
