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
        description="host names that clients may use, without ports; by default any, or the "
        "names of this machine if the server listens on this machine alone",
    )
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    workers: int = Field(
        0,
        ge=0,
        description="worker processes; 0 means one for each core that the container may use",
    )
    model_name: str = Field(
        "recommender", pattern=r"^[A-Za-z0-9._-]+$", description="name of the model in URLs"
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
        description="most connections of a worker; a new one replaces one that is idle, or whose "
        "client has neither sent nor read anything for a second, or is refused with 503",
    )
    receive_seconds: float = Field(
        30.0, gt=0, description="a request that takes longer to arrive is refused with 408"
    )
    idle_seconds: float = Field(
        75.0,
        gt=0,
        description="a connection without activity for longer is closed; set it higher than the "
        "limit of the load balancer in front",
    )
    drain_seconds: float = Field(
        1.0,
        ge=0,
        le=20,
        description="how long connections are still accepted after SIGTERM, while not ready",
    )
    watch_seconds: float = Field(
        0.5, ge=0, description="time between two looks for a new bundle; 0: look only on SIGHUP"
    )
    access_log: bool = Field(True, description="write a line of JSON to stdout for every request")
    health_route: Path | None = Field(
        None, description="additional path of the readiness check, as Vertex AI needs"
    )
    predict_route: Path | None = Field(
        None, description="additional path of predictions, as Vertex AI needs"
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
