"""The images that the steps run in, by their local names.

Compiling the pipeline puts the registry and the digest in place of these names.
"""

import os

VERSION = "0.1.0"

DATA = f"alsolike/data:{VERSION}"
TRAIN = f"alsolike/train-cpu:{VERSION}"
TRAIN_GPU = f"alsolike/train-gpu:{VERSION}"
SERVE = f"alsolike/serve:{VERSION}"

ALL = (DATA, TRAIN, TRAIN_GPU, SERVE)


def revision() -> str:
    """The git commit that this image was built from; empty outside of an image."""
    return os.environ.get("ALSOLIKE_REVISION", "")
