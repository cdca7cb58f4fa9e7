"""What the handlers of a worker share."""

from dataclasses import dataclass, field

from components.serve.handlers.turns import Turns
from components.serve.inference.batching import TopNBatcher
from components.serve.inference.bundle import Bundle
from components.serve.metrics import Metrics
from components.serve.settings import ServeSettings


@dataclass
class State:
    """The bundle that a worker answers from, and what belongs to it.

    Attributes:
        settings: how to answer.
        bundle: what to answer from; it may be replaced between two requests.
        metrics: where to count.
        batcher: computes top-N requests together.
        openapi: the OpenAPI document, as JSON.
        turns: lets large requests be computed in parts.
        ready: whether requests should be sent to this worker.
    """

    settings: ServeSettings
    bundle: Bundle
    metrics: Metrics
    batcher: TopNBatcher
    openapi: bytes
    turns: Turns = field(default_factory=Turns)
    ready: bool = True
