#!/bin/sh
# Compile /opt/alsolike and move it to /image/opt, where the image takes it from; every file gets
# the same date, the folders above it too, so that the same files are the same layer.
set -eu

# A byte-code file holds no date, and is not looked after: the sources never change. A random order
# of sets would show in it.
PYTHONHASHSEED=0 python3.11 -m compileall -q --invalidation-mode unchecked-hash /opt/alsolike ||
    echo "some modules are for other versions of Python and were not compiled"
mkdir -p /image/opt
mv /opt/alsolike /image/opt
find /image -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
