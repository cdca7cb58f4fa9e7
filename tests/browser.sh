#!/usr/bin/env bash
# Gets a Chromium, and a library of Playwright's driver, for the tests of pages where they are not
# there: Debian's, or else Playwright's own.
# Where neither can be had, these tests are skipped, and pytest says so in its last line.
set -u
.venv/bin/python -m tests.browser && exit
if command -v apt-get >/dev/null; then
    as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo --non-interactive "$@"; fi; }
    as_root true 2>/dev/null && as_root apt-get update --quiet=2 &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 \
            --no-install-recommends chromium libatomic1 && exit
fi >/dev/null 2>&1
timeout 300 .venv/bin/playwright install chromium >/dev/null 2>&1
exit 0
