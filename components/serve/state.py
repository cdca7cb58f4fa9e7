"""What the handlers of a worker answer from."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from components.serve.batching import Batcher
from components.serve.bundle import Bundle
from components.serve.http import Handled, Request
from components.serve.metrics import Metrics
from components.serve.settings import ServeSettings


@dataclass
class State:
    """The worker's bundle, which may be switched between two requests, and its surroundings.

    Attributes:
        many: held by the request for more customers than fit in one matrix product.
        ready: whether requests should be sent here; the rest says its type.
    """

    settings: ServeSettings
    bundle: Bundle
    metrics: Metrics
    batcher: Batcher
    openapi: bytes
    many: asyncio.Lock = field(default_factory=asyncio.Lock)
    ready: bool = True


Handler = Callable[[State, Request], Handled]
