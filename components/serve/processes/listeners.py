"""The sockets that a server listens on, and the files that it may open."""

import resource
import socket

from components.errors import UserError

# Connections that wait for the event loop; a client beyond them tries again after a second.
BACKLOG = 2048


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """Sockets that listen on the same address and share its connections (SO_REUSEPORT).

    Args:
        host: an address or a name of this machine.
        port: 0 is a free one.
        count: how many sockets.

    Raises:
        UserError: if the address is in use, or is not of this machine.
    """
    sockets: list[socket.socket] = []
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:  # refuses a port that another server shares, too
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            address = (address[0], probe.getsockname()[1], *address[2:])
        for _ in range(count):
            sockets.append(listener := socket.socket(family))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return sockets


def allow_open_files(count: int) -> None:
    """Let this process and its children open this many files, or as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        count = min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
