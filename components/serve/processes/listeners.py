"""The sockets that a server listens on, and the files that it may open."""

import ctypes
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from components.errors import UserError

# Connections that wait for the event loop; a client beyond them tries again after a second.
BACKLOG = 2048

# What the system holds of a connection in each direction; it may take twice as much memory for it.
_SYSTEM_BYTES = 32 * 1024
_SO_ATTACH_FILTER = 26  # Linux; the `socket` module does not name it
# A packet filter (Linux, networking/filter.rst) of a socket sees TCP headers, whose byte 13 has the
# flags: drop what has SYN (0x02) without ACK (0x10), pass everything else.
_DROP_SYN = (
    (0x30, 0, 0, 13),  # load the flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # if only SYN is left
    (0x06, 0, 0, 0),  # drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else pass it
)


@contextmanager
def listen(host: str, port: int, count: int) -> Iterator[list[socket.socket]]:
    """Sockets that listen on the same address and share its connections (SO_REUSEPORT).

    Args:
        host: an address or a name of this machine.
        port: 0 is a free one.
        count: how many sockets.

    Raises:
        UserError: if the address is in use, or is not of this machine.
    """
    with ExitStack() as stack:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family) as probe:  # refuses a port that another server shares, too
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                address = (address[0], probe.getsockname()[1], *address[2:])
            sockets = [stack.enter_context(socket.socket(family)) for _ in range(count)]
            for listener in sockets:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                _bound_memory(listener)
                listener.bind(address)
                listener.listen(BACKLOG)
        except OSError as error:
            raise UserError(f"cannot listen on {host}:{port}: {error.strerror}") from None
        yield sockets


def _bound_memory(listener: socket.socket) -> None:
    """Let the system hold little for each connection, for it counts as memory of the container.

    By itself it holds up to megabytes of what was sent and what nobody reads (tcp(7), tcp_rmem and
    tcp_wmem).
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SYSTEM_BYTES)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _SYSTEM_BYTES)


def ignore_new_clients(listener: socket.socket) -> None:
    """Let clients that have begun to connect finish, and give no answer to others.

    When a listening socket is closed, the system resets the connections that wait to be accepted.
    After this call, no more of them come up, so that they can be accepted before.
    """
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_SYN)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(buffer))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def allow_open_files(count: int) -> None:
    """Let this process and its children open this many files, or as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        count = min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
