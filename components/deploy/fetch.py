"""Copy a version out of a bundle store: `python -m components.deploy.fetch STORE VERSION FOLDER`.

The pod of a server does this first, so that the server itself needs no access to the store.
"""

import logging
import sys
from pathlib import Path

from components.artifacts.bundles import open_store
from components.step import step

if __name__ == "__main__":
    with step("fetch"):
        if len(sys.argv) != 4:
            sys.exit("usage: python -m components.deploy.fetch STORE VERSION FOLDER")
        folder = open_store(sys.argv[1]).fetch(sys.argv[2], Path(sys.argv[3]))
        logging.info("the bundle is at %s", folder)
