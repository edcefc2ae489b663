#!/bin/sh
# Install Debian packages if we may, or say what somebody else has to install.
#
#   scripts/debian.sh 'why they are needed' PACKAGE …
set -eu

why=$1
shift

missing=
for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

give_up() {
    echo "$why: this needs the Debian package(s)$missing, and $1." >&2
    echo "Install them by hand, or something like them, and try again." >&2
    exit 1
}

command -v apt-get >/dev/null 2>&1 || give_up 'there is no apt-get here'
if [ "$(id -u)" = 0 ]; then
    root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    root='sudo -n'
else
    give_up 'we are neither root nor allowed to use sudo without a password'
fi

echo "$why: installing$missing …"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086 # both hold several words, or none
if ! { $root apt-get update && $root apt-get install --yes --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    give_up 'apt-get could not get them'
fi
rm -f "$log"
