#!/usr/bin/env bash
# setup.sh PYTHON VENV: make the virtual environment, after checking what the system must have for it.
#
# What is missing is installed where that is allowed: by apt, as root or by sudo without a password.
# Elsewhere one line says what to type, before anything takes minutes.
set -euo pipefail
python=$1 venv=$2

stop() { echo "error: $1" >&2; exit 1; }

# as_root COMMAND...: as root, or by sudo if it asks for no password.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo --non-interactive "$@"; fi; }

# install WHY PACKAGE...: Debian packages.
install() {
    local why=$1 command="apt-get install --yes ${*:2}"
    command -v apt-get >/dev/null || stop "$why: install it with this system's package manager"
    as_root true 2>/dev/null || stop "$why: type: sudo $command"
    { as_root apt-get update --quiet=2 && as_root env DEBIAN_FRONTEND=noninteractive $command; } \
        >/dev/null 2>&1 || stop "$why, and it cannot be installed: type: sudo $command"
}

is_wanted() { "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; }

make_environment() {
    if is_wanted; then
        "$python" -m venv "$venv"
    elif version=$("$python" --version 2>/dev/null) && [[ $version != "Python 3.11."* ]]; then
        stop "$python is $version, and MXNet runs on 3.11: leave PYTHON out, or name another"
    elif command -v uv >/dev/null; then
        uv venv --quiet --seed --allow-existing --python 3.11 "$venv" || stop "uv cannot get Python 3.11"
    else
        install "there is no Python 3.11 with venv" python3.11 python3.11-venv
        "$python" -m venv "$venv"
    fi
}

# MXNet's wheel brings neither.
check_libraries() {
    local missing
    missing=$("$venv/bin/python" - libgomp.so.1=libgomp1 libquadmath.so.0=libquadmath0 <<'EOF'
import ctypes, sys

for name, package in (pair.split("=") for pair in sys.argv[1:]):
    try:
        ctypes.CDLL(name)
    except OSError:
        print(package)
EOF
    )
    # shellcheck disable=SC2086 # a package a word
    [ -z "$missing" ] || install "MXNet needs ${missing//$'\n'/ and }" $missing
}

make_environment
check_libraries
