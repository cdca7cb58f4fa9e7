"""Requests from the bytes of a connection: httptools parses HTTP/1.1, limits are added here."""

from collections.abc import Callable
from typing import Protocol

import httptools

from components.serve.protocol.http import HttpError, Request

MAX_HEAD_BYTES = 64 * 1024
_MAX_REQUEST_ID_BYTES = 128
# In chunks of one byte, a body takes six bytes on the wire for each byte of its own.
_MAX_WIRE_BYTES_PER_BODY_BYTE = 8


class RequestReceiver(Protocol):
    """What a parser tells of what it reads."""

    def request_received(self, request: Request) -> None:
        """A request is complete."""

    def request_refused(self, error: HttpError) -> None:
        """The request that is being received breaks a rule; nothing more is parsed."""

    def continue_expected(self) -> None:
        """The client waits for `100 Continue` before it sends the body."""


class RequestParser:
    """Parses the requests of one connection, until one is the last or is refused.

    Attributes:
        received: bytes of the request that is not yet complete.
        receiving_since: when its first byte came, in seconds of `perf_counter`.
    """

    def __init__(
        self,
        receiver: RequestReceiver,
        allowed_hosts: frozenset[bytes],
        max_body_bytes: int,
        make_id: Callable[[], bytes],
    ) -> None:
        """Make a parser.

        Args:
            receiver: is told of every request.
            allowed_hosts: names that the header `host` may have, in lower case; empty if any.
            max_body_bytes: a longer body is refused.
            make_id: makes an id for a request without one.
        """
        self._receiver = receiver
        self._allowed_hosts = allowed_hosts
        self._max_body_bytes = max_body_bytes
        self._max_bytes = MAX_HEAD_BYTES + _MAX_WIRE_BYTES_PER_BODY_BYTE * max_body_bytes
        self._make_id = make_id
        self._parser = httptools.HttpRequestParser(self)
        self._ended = False  # the last request was received, or one was refused
        self.received = 0
        self.receiving_since = 0.0
        self._begin_request()

    def feed(self, data: bytes, now: float) -> None:
        """Parse a piece of what was received; the limits are checked after it.

        Args:
            data: the piece.
            now: when it came, in seconds of `perf_counter`.
        """
        if not self.received:
            self.receiving_since = now
        self.received += len(data)
        self._beside_body += len(data)
        while data and not self._ended:
            data = self._parse(data)
        if self._url and not self.received:  # the next request has begun in the same piece
            self.received = 1
            self.receiving_since = now
        if self.received:
            self._check_received()

    def close(self) -> None:
        """Break the circles of references, so that memory is free without a full collection."""
        del self._parser, self._receiver

    def partial_request(self) -> Request:
        """What is known of the request that is not complete, for the answer that refuses it."""
        path = self._url.decode("latin-1")
        request_id = self._request_id or self._make_id()
        return Request("-", path, "", b"", request_id, keep_alive=False)

    def _parse(self, data: bytes) -> bytes:
        """Parse, and return what is still to be parsed after an upgrade was declined."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "the request is not valid HTTP/1.1")
        return b""

    def _decline_upgrade(self, rest: bytes) -> bytes:
        """Go on in HTTP/1.1 where the client offers another protocol.

        httptools stops after the head of such a request. So a new parser gets the parts of the
        head that matter, without the offer, and then the rest.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._refuse(501, "this server is not a proxy")
            return b""
        host = b"" if self._host is None else b"host: %b\r\n" % self._host
        request_id = b"x-request-id: %b\r\n" % self._request_id if self._request_id else b""
        close = b"" if self._keep_alive() else b"connection: close\r\n"
        headers = host + request_id + self._body_header + close
        version = self._parser.get_http_version().encode()
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self._url, version, headers)
        self._parser = httptools.HttpRequestParser(self)
        self._begin_request()
        self.received = len(head) + len(rest)
        return head + rest

    # httptools calls these.

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        take = _HEADERS.get(name.lower())
        if take is not None:
            take(self, value)

    def on_headers_complete(self) -> None:
        self._beside_body = 0
        version = self._parser.get_http_version()
        if version != "1.1":
            self._check_version(version)
        elif self._host is None:
            self._refuse(400, "the header host is missing")
        if self._expects_continue and not self._ended:
            self._receiver.continue_expected()

    def on_body(self, body: bytes) -> None:
        self._beside_body = 0
        self._body.append(body)
        self._body_bytes += len(body)
        self._check_body(self._body_bytes)

    def on_message_complete(self) -> None:
        if self._ended or self._parser.should_upgrade():
            return
        path, _, query = self._url.decode("latin-1").partition("?")
        request = Request(
            self._parser.get_method().decode(),
            path,
            query,
            b"".join(self._body),
            self._request_id or self._make_id(),
            self._keep_alive(),
        )
        self._begin_request()
        self._ended = not request.keep_alive
        self._receiver.request_received(request)

    def _begin_request(self) -> None:
        self._url = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._body_header = b""
        self._host: bytes | None = None
        self._request_id = b""
        self._expects_continue = False
        self._http_1_0_keep_alive = False
        self._beside_body = 0
        self.received = 0

    def _keep_alive(self) -> bool:
        return self._parser.should_keep_alive() and not self._http_1_0_keep_alive

    def _check_received(self) -> None:
        """Refuse too long a head or trailer, and too many sizes of chunks beside the body."""
        if self._beside_body > MAX_HEAD_BYTES:
            self._refuse(431, f"path, query and headers are longer than {MAX_HEAD_BYTES} bytes")
        if self.received > self._max_bytes:
            self._refuse(413, f"the request is longer than {self._max_bytes} bytes")

    def _check_version(self, version: str) -> None:
        if version != "1.0":
            self._refuse(505, "this server supports HTTP/1.1 only")
        elif self._body_header.startswith(b"transfer-encoding"):
            self._refuse(400, "HTTP/1.0 has no transfer codings")

    def _take_host(self, value: bytes) -> None:
        if self._host is not None:
            self._refuse(400, "the header host is given twice")
        self._host = value
        if not self._allowed_hosts:
            return
        name, _, port = value.rpartition(b":")
        if (name if port.isdigit() else value).lower() not in self._allowed_hosts:
            host = value.decode("latin-1")
            self._refuse(421, f"this server does not answer for {host}: see --allowed-hosts")

    def _take_request_id(self, value: bytes) -> None:
        self._request_id = value[:_MAX_REQUEST_ID_BYTES]

    def _take_length(self, value: bytes) -> None:
        self._body_header = b"content-length: %b\r\n" % value
        self._check_body(int(value))

    def _take_coding(self, value: bytes) -> None:
        self._body_header = b"transfer-encoding: %b\r\n" % value
        if value.lower() != b"chunked":
            self._refuse(501, "chunked is the only transfer coding that is supported")

    def _take_expectation(self, value: bytes) -> None:
        self._expects_continue = value.lower() == b"100-continue"

    def _take_connection(self, _value: bytes) -> None:
        # A client of HTTP/1.0 goes on only after an answer with this header, which we never send.
        self._http_1_0_keep_alive = self._parser.get_http_version() == "1.0"

    def _check_body(self, length: int) -> None:
        if length > self._max_body_bytes:
            self._refuse(413, f"the request's body is longer than {self._max_body_bytes} bytes")

    def _refuse(self, status: int, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self._receiver.request_refused(HttpError(status, reason))


_HEADERS = {
    b"connection": RequestParser._take_connection,
    b"content-length": RequestParser._take_length,
    b"expect": RequestParser._take_expectation,
    b"host": RequestParser._take_host,
    b"transfer-encoding": RequestParser._take_coding,
    b"x-request-id": RequestParser._take_request_id,
}
