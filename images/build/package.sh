#!/bin/sh
# Put this package, made from /package, where the environment of an image has its packages.
set -eu

packages=/opt/alsolike/lib/python3.11/site-packages

: >/package/README.md # an image does not change with it
/build/tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /package/dist /package
/build/tools/bin/pip install --no-deps --no-compile --target $packages /package/dist/*.whl
rm -r $packages/bin # the command `alsolike` is of no use in a step

/build/settle.sh
