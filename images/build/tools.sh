#!/bin/sh
# Install what builds: /build/tools has pip and what makes a wheel; binutils take out debug symbols.
set -eu

apt-get -qq update
apt-get -qq install --yes --no-install-recommends binutils >/dev/null

python3.11 -m venv /build/tools
if [ -e /build/ca-bundle.pem ]; then
    /build/tools/bin/pip config --quiet --global set global.cert /build/ca-bundle.pem
fi
/build/tools/bin/pip install --quiet --require-hashes --requirement /build/requirements.txt
