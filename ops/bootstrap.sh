#!/bin/sh
# Makes .venv from nothing but Python, with hash-checked requirements: `ops/bootstrap.sh demo|dev`.
# Does nothing when the requirements are those of the last time. Ends with 2 and one sentence when
# it cannot.
set -eu
cd "$(dirname "$0")/.."
kind=${1:?demo or dev}
python=${PYTHON:-python3}

fail() {
    echo "$1" >&2
    exit 2
}

command -v "$python" >/dev/null 2>&1 ||
    fail "Python is not installed: SINS needs Python 3.11 or later."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "SINS needs Python 3.11 or later; $python is $("$python" -c 'import platform; print(platform.python_version())'). Another one can be named: make PYTHON=python3.12 $kind"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"

files="requirements.txt requirements-demo.txt"
megabytes=60
if [ "$kind" = dev ]; then
    files="$files requirements-dev.txt"
    megabytes=170
fi
# shellcheck disable=SC2086 # a list of names without blanks
wanted=$("$python" -c 'import hashlib, sys
print(hashlib.sha256(b"".join(open(f, "rb").read() for f in sys.argv[1:])).hexdigest(), sys.version)' $files)
stamp=.venv/.requirements-$kind
if [ -x .venv/bin/python ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi

explain() {
    free=$(df -Pk . | awk 'NR == 2 { print $4 }')
    [ "$free" -gt 102400 ] || fail "The disk is full: .venv needs about $((megabytes * 6)) MB."
    fail "The packages SINS needs could not be installed; what went wrong stands above."
}

echo "Installing Python packages into .venv: a download of about $megabytes MB, once."
[ -x .venv/bin/python ] || "$python" -m venv .venv || explain
install=".venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all:"
[ -t 2 ] && install="$install --progress-bar on" || true
$install -r requirements.txt || explain
$install --no-deps -r requirements-demo.txt || explain
[ "$kind" != dev ] || $install -r requirements-dev.txt || explain
echo "$wanted" >"$stamp"
