#!/bin/sh
# Compile /opt/alsolike, and give every file the same date, so that the same files are the same layer.
set -eu

# A byte-code file holds no date, and is not looked after: the sources never change. A random order
# of sets would show in it.
PYTHONHASHSEED=0 python3.11 -m compileall -q --invalidation-mode unchecked-hash /opt/alsolike ||
    echo "some modules are for other versions of Python and were not compiled"
find /opt/alsolike -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
