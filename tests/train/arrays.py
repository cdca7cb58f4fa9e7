"""How large the arrays of MXNet become, and a limit low enough to be met by small data."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from mxnet import nd

from components.train import sizes
from components.train.histories import histories
from components.train.rating import bayes


@contextmanager
def largest() -> Iterator[list[int]]:
    """The most cells of any dense array made until the block ends, in a list that grows."""
    seen = [0]
    make = nd.NDArray.__init__

    def measured(self: nd.NDArray, *args: object, **kwargs: object) -> None:
        make(self, *args, **kwargs)
        if type(self) is nd.NDArray:
            seen.append(max(seen.pop(), self.size))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nd.NDArray, "__init__", measured)
        yield seen


def lower_limit(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    """Let arrays have so many cells at most."""
    for module in (sizes, histories, bayes):
        monkeypatch.setattr(module, "MOST_CELLS", cells)
