"""The settings of the server."""

from ipaddress import ip_address
from typing import Annotated

from pydantic import BaseModel, Field

# A brace would start a parameter of a route, and a quote would end a label of the metrics.
Path = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~:@!$&'()*+,;=/-]*$")]


_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class ServeSettings(BaseModel, frozen=True, extra="forbid"):
    """How the server listens, answers and ends."""

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 in a container")
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="names by which clients may call the server, without ports; where it listens "
        "on this machine alone, the names of this machine are allowed and no others",
    )
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    workers: int = Field(
        0, ge=0, description="worker processes; 0 is one a core, within the container's limit"
    )
    model_name: str = Field(
        "recommender", pattern=r"^[A-Za-z0-9._-]+$", description="the model's name in addresses"
    )
    strict: bool = Field(
        False, description="answer 404 for an unknown customer, not the popular products"
    )
    max_body_bytes: int = Field(
        1 << 20, ge=1024, description="a longer request body is refused with 413"
    )
    max_connections: int = Field(
        4096,
        ge=1,
        description="connections of one worker; a further one takes the place of the one that was "
        "idle longest, or is refused with 503",
    )
    receive_seconds: float = Field(
        30.0, gt=0, description="a request that takes longer to arrive is refused with 408"
    )
    idle_seconds: float = Field(
        75.0,
        gt=0,
        description="a connection on which nothing happens for longer is closed; more than the "
        "load balancer in front keeps its own",
    )
    drain_seconds: float = Field(
        1.0,
        ge=0,
        le=20,
        description="after SIGTERM, how long to go on accepting connections while not ready",
    )
    watch_seconds: float = Field(
        0.5, ge=0, description="how often to look for a new bundle; 0: only on SIGHUP"
    )
    access_log: bool = Field(True, description="write a line of JSON to stdout for every request")
    health_route: Path | None = Field(
        None, description="one more path for readiness, such as Vertex AI asks for"
    )
    predict_route: Path | None = Field(
        None, description="one more path for predictions, such as Vertex AI asks for"
    )

    def host_names(self) -> frozenset[bytes]:
        """The names that the header `host` may have, in lower case; empty if it may have any.

        A web page elsewhere can let its own name lead to a loopback address, and so reach a server
        that other machines cannot (DNS rebinding).
        """
        names = self.allowed_hosts
        if not names and _is_loopback(self.host):
            names = (self.host, *_LOOPBACK_NAMES)
        return frozenset(name.lower().encode() for name in names)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
