#!/bin/sh
# Make .venv with the first of the named Pythons that is 3.11 or newer and can make one.
# A whole .venv is left as it is; a half-made or too old one is made again.
# usage: make_venv.sh PYTHON...      called by `make install`
set -u

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

if .venv/bin/python -c "$new_enough" 2>/dev/null && .venv/bin/python -m pip --version >/dev/null 2>&1; then
    exit 0
fi

without_venv=
for python in "$@"; do
    "$python" -c "$new_enough" >/dev/null 2>&1 || continue
    if "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        echo "making .venv with $("$python" -c 'import sys; print(sys.executable, sys.version.split()[0])')"
        exec "$python" -m venv --clear .venv
    fi
    without_venv=${without_venv:-$python}
done

if [ -n "$without_venv" ]; then
    echo "make install: $without_venv has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv) and try again" >&2
else
    echo "make install: needs Python 3.11 or newer, found none of: $*; install one or name it: make install PYTHON=/path/to/python3" >&2
fi
exit 1
