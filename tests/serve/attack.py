"""One client that asks the most that is allowed: `python -m tests.serve.attack HOST PORT FILE`.

It keeps 64 connections busy with the request in the file, many at once on each, reads every answer,
and prints how many bytes it got when it is told to end.
"""

import selectors
import signal
import socket
import sys
from pathlib import Path

CONNECTIONS = 64
_BYTES_AT_ONCE = 256 * 1024


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    address, request = (sys.argv[1], int(sys.argv[2])), Path(sys.argv[3]).read_bytes()
    many = request * max(2, _BYTES_AT_ONCE // len(request))
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = socket.create_connection(address)
            connection.setblocking(False)
            selector.register(
                connection, selectors.EVENT_READ | selectors.EVENT_WRITE, memoryview(many)
            )
        while selector.get_map():
            for key, events in selector.select():
                try:
                    advance(selector, key, events, memoryview(many))
                except OSError:
                    selector.unregister(key.fileobj)


def advance(
    selector: selectors.BaseSelector, key: selectors.SelectorKey, events: int, many: memoryview
) -> None:
    connection = key.fileobj
    assert isinstance(connection, socket.socket)
    if events & selectors.EVENT_READ and not connection.recv(1 << 20):
        selector.unregister(connection)
    elif events & selectors.EVENT_WRITE:
        rest = key.data[connection.send(key.data) :]
        selector.modify(connection, key.events, rest or many)


if __name__ == "__main__":
    main()
