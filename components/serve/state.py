"""What the handlers of a worker answer from."""

from collections.abc import Callable
from dataclasses import dataclass

from components.serve.batching import Batcher
from components.serve.bundle import Bundle
from components.serve.http import Handled, Request
from components.serve.metrics import Metrics
from components.serve.settings import ServeSettings


@dataclass
class State:
    """The worker's bundle, which may be switched between two requests, and its surroundings."""

    settings: ServeSettings
    bundle: Bundle
    metrics: Metrics
    batcher: Batcher
    openapi: bytes
    ready: bool = True


Handler = Callable[[State, Request], Handled]
