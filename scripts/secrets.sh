#!/bin/sh
# Make the secret files that docker-compose.yml mounts. Never overwrites one: a new secret key would
# turn every answer link that is out there into a wrong one.
#
# The folder is closed to everybody else (0700); the files in it can be read (0444), because the
# containers run as users of their own and Compose mounts a file with the rights it has here.
set -eu
umask 077
cd "$(dirname "$0")/.."

mkdir -p secrets
chmod 0700 secrets
for name in database_password secret_key; do
    if [ -s "secrets/$name" ]; then
        echo "secrets/$name is there already; left as it is."
        continue
    fi
    # 32 bytes from the kernel, as hexadecimal digits: they need no quoting anywhere.
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"secrets/$name.new"
    chmod 0444 "secrets/$name.new"
    mv "secrets/$name.new" "secrets/$name"
    echo "secrets/$name made."
done
