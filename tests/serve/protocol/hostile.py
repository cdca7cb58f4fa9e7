"""Requests as no polite client sends them, and the statuses that they get."""

from collections.abc import Iterator

HOST = b"host: localhost\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
BODY = b'{"customers":["C000003"],"n":1}'
SIZED = b"content-length: %d\r\n" % len(BODY)
POST = b"POST /recommend HTTP/1.1\r\n" + HOST
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
END = b"\r\n"
OK, BAD = [200], [400]

Case = tuple[str, bytes, list[int]]


def cases() -> Iterator[Case]:
    """Name, what is sent, and the statuses of the answers of our server."""
    yield from _request_lines()
    yield from _versions()
    yield from _headers()
    yield from _lengths()
    yield from _chunks()
    yield from _several()
    yield from _limits()
    yield from _other_protocols()


def _request_lines() -> Iterator[Case]:
    def line(text: bytes) -> bytes:
        return text + b"\r\n" + HOST + END

    yield "plain", GET + END, OK
    yield "line feeds alone", b"GET / HTTP/1.1\nhost: localhost\n\n", BAD
    yield "a carriage return alone", b"GET / HTTP/1.1\rhost: localhost\r\r", BAD
    yield "an empty line before", END + GET + END, OK
    yield "four empty lines before", END * 4 + GET + END, OK
    yield "two spaces", line(b"GET  / HTTP/1.1"), OK
    yield "two spaces before the version", line(b"GET /  HTTP/1.1"), OK
    yield "a tab", line(b"GET\t/\tHTTP/1.1"), BAD
    yield "a space before", line(b" GET / HTTP/1.1"), BAD
    yield "a space at the end", line(b"GET / HTTP/1.1 "), BAD
    yield "no path", line(b"GET HTTP/1.1"), BAD
    yield "no slash", line(b"GET index HTTP/1.1"), BAD
    yield "a space in the path", line(b"GET /a b HTTP/1.1"), BAD
    yield "a null in the path", line(b"GET /\0 HTTP/1.1"), BAD
    yield "a control character in the path", line(b"GET /\x01 HTTP/1.1"), BAD
    yield "a deletion in the path", line(b"GET /\x7f HTTP/1.1"), BAD
    yield "UTF-8 in the path", line("GET /é HTTP/1.1".encode()), BAD
    yield "a fragment", line(b"GET /#a HTTP/1.1"), [404]
    yield "a query", line(b"GET /?a=b&c HTTP/1.1"), OK
    yield "a whole URL", line(b"GET http://localhost/ HTTP/1.1"), OK
    yield "a URL that is none", line(b"GET http://[/ HTTP/1.1"), BAD
    yield "a URL without a path", line(b"GET http://localhost HTTP/1.1"), [404]
    yield "an asterisk", line(b"OPTIONS * HTTP/1.1"), [404]
    yield "a method in lower case", line(b"get / HTTP/1.1"), BAD
    yield "an unknown method", line(b"BREW / HTTP/1.1"), BAD
    yield "a method of a hundred letters", line(b"G" * 100 + b" / HTTP/1.1"), BAD
    yield "a method with a colon", line(b"GE:T / HTTP/1.1"), BAD
    yield "no method", line(b"/ HTTP/1.1"), BAD
    yield "TRACE", line(b"TRACE / HTTP/1.1"), [405]
    yield "CONNECT", line(b"CONNECT localhost:80 HTTP/1.1"), [501]
    yield "DELETE", line(b"DELETE / HTTP/1.1"), [405]
    yield "HEAD", line(b"HEAD / HTTP/1.1"), OK


def _versions() -> Iterator[Case]:
    def version(text: bytes) -> bytes:
        return b"GET / " + text + b"\r\n" + HOST + END

    yield "HTTP/1.0", version(b"HTTP/1.0"), OK
    yield "HTTP/1.0 without a host", b"GET / HTTP/1.0\r\n\r\n", OK
    yield "HTTP/0.9", b"GET /\r\n\r\n", [505]
    yield "HTTP/1.2", version(b"HTTP/1.2"), BAD
    yield "HTTP/1.10", version(b"HTTP/1.10"), BAD
    yield "HTTP/2.0", version(b"HTTP/2.0"), [505]
    yield "HTTP/9.9", version(b"HTTP/9.9"), BAD
    yield "a version in lower case", version(b"http/1.1"), BAD
    yield "a version without a point", version(b"HTTP/11"), BAD
    yield "a version of another protocol", version(b"FTP/1.1"), BAD
    yield "a version of letters", version(b"HTTP/a.b"), BAD


def _headers() -> Iterator[Case]:
    def header(text: bytes) -> bytes:
        return GET + text + b"\r\n\r\n"

    yield "no host", b"GET / HTTP/1.1\r\n\r\n", BAD
    yield "two hosts", GET + b"host: elsewhere\r\n\r\n", BAD
    yield "an empty host", b"GET / HTTP/1.1\r\nhost:\r\n\r\n", [421]
    yield "no colon", header(b"abc"), BAD
    yield "no name", header(b": abc"), BAD
    yield "no value", header(b"abc:"), OK
    yield "a space before the colon", header(b"abc : d"), BAD
    yield "a space in the name", header(b"a b: d"), BAD
    yield "a folded line", header(b"abc: d\r\n e"), BAD
    yield "a folded first line", b"GET / HTTP/1.1\r\n host: localhost\r\n\r\n", BAD
    yield "a null in the name", header(b"a\0b: c"), BAD
    yield "a null in the value", header(b"abc: d\0"), BAD
    yield "a control character in the value", header(b"abc: \x01"), BAD
    yield "a line feed alone at the end", GET + b"abc: d\n\r\n", BAD
    yield "a carriage return in the value", header(b"abc: d\re"), BAD
    yield "tabs around the value", header(b"abc:\td\t"), OK
    yield "UTF-8 in the value", header("abc: é".encode()), OK
    yield "UTF-8 in the name", header("é: a".encode()), BAD
    yield "Latin-1 in the value", header(b"abc: \xe9"), OK
    yield "parentheses in the name", header(b"a(b): c"), BAD
    yield "a name in capitals", header(b"ABC: d"), OK
    yield "close", header(b"connection: close"), OK
    yield "close and keep-alive", header(b"connection: close, keep-alive"), OK
    yield "an upgrade to nothing", header(b"connection: upgrade\r\nupgrade: nothing"), OK
    yield "an upgrade without the option", header(b"upgrade: h2c"), OK
    yield "an expectation of another thing", header(b"expect: more"), OK


def _lengths() -> Iterator[Case]:
    def length(text: bytes) -> bytes:
        return POST + text + b"\r\n\r\n" + BODY

    size = len(BODY)
    yield "a length", length(b"content-length: %d" % size), OK
    yield "a length with zeros before", length(b"content-length: 00%d" % size), OK
    yield "the same length twice", length(SIZED + b"content-length: %d" % size), BAD
    yield "the same length in a list", length(b"content-length: %d, %d" % (size, size)), BAD
    yield "two lengths", length(SIZED + b"content-length: 4"), BAD
    yield "a negative length", length(b"content-length: -1"), BAD
    yield "a length with a plus", length(b"content-length: +%d" % size), BAD
    yield "a length in hexadecimal", length(b"content-length: 0x1f"), BAD
    yield "a length with letters", length(b"content-length: 1a"), BAD
    yield "a length with a space within", length(b"content-length: 3 1"), BAD
    yield "an empty length", length(b"content-length:"), BAD
    yield "a length of 2^64", length(b"content-length: 18446744073709551616"), BAD
    yield "a length of 2^63", length(b"content-length: 9223372036854775808"), [413]
    yield "a length over the limit", length(b"content-length: 2000000"), [413]
    yield "a body that is too short", POST + b"content-length: 99\r\n\r\n" + BODY, []
    yield "a length of a GET", GET + b"content-length: 2\r\n\r\n{}", OK
    yield "a length and chunks", POST + SIZED + CHUNKED + END + CHUNKS, BAD
    yield "chunks and a length", POST + CHUNKED + SIZED + END + CHUNKS, BAD


def _chunks() -> Iterator[Case]:
    def chunked(body: bytes, coding: bytes = CHUNKED) -> bytes:
        return POST + coding + END + body

    first = b"%x\r\n%b\r\n" % (len(BODY), BODY)
    yield "chunks", chunked(CHUNKS), OK
    yield "chunks in capitals", chunked(CHUNKS, b"transfer-encoding: Chunked\r\n"), OK
    yield "a chunk of 1F", chunked(b"1F\r\n" + BODY + b"\r\n0\r\n\r\n"), OK
    yield "a chunk with zeros before", chunked(b"000" + CHUNKS), OK
    yield "a chunk with an extension", chunked(b"1f;a=b\r\n" + BODY + b"\r\n0\r\n\r\n"), OK
    yield "a trailer", chunked(first + b"0\r\nabc: d\r\n\r\n"), OK
    yield "a trailer that is none", chunked(first + b"0\r\nabc\r\n\r\n"), BAD
    yield "a trailer with a length", chunked(first + b"0\r\ncontent-length: 9\r\n\r\n"), BAD
    yield "a chunk of no digits", chunked(b"\r\n" + BODY), BAD
    yield "a chunk of letters", chunked(b"xyz\r\n" + BODY), BAD
    yield "a chunk of a negative size", chunked(b"-1\r\n" + BODY), BAD
    yield "a chunk of 2^64", chunked(b"10000000000000000\r\n" + BODY), BAD
    yield "a chunk of 0x1f", chunked(b"0x1f\r\n" + BODY), BAD
    yield "a chunk with a space before", chunked(b" " + CHUNKS), BAD
    yield "a chunk that is longer", chunked(b"1e\r\n" + BODY + b"\r\n0\r\n\r\n"), BAD
    yield "a chunk that is shorter", chunked(b"20\r\n" + BODY + b"\r\n0\r\n\r\n"), BAD
    yield "a chunk ended by a line feed", chunked(b"1f\n" + BODY + b"\r\n0\r\n\r\n"), BAD
    yield "no last chunk", chunked(first), []
    yield "gzip and chunks", chunked(CHUNKS, b"transfer-encoding: gzip, chunked\r\n"), [501]
    yield "chunks and gzip", chunked(CHUNKS, b"transfer-encoding: chunked, gzip\r\n"), BAD
    yield "gzip alone", chunked(CHUNKS, b"transfer-encoding: gzip\r\n"), [501]
    yield "identity", chunked(CHUNKS, b"transfer-encoding: identity\r\n"), [501]
    yield "chunked twice", chunked(CHUNKS, CHUNKED + CHUNKED), BAD
    yield "an unknown coding", chunked(CHUNKS, b"transfer-encoding: xchunked\r\n"), [501]
    yield "a vertical tab", chunked(CHUNKS, b"transfer-encoding: \x0bchunked\r\n"), BAD
    yield "chunks in HTTP/1.0", chunked(CHUNKS).replace(b"1.1", b"1.0"), BAD
    yield "a space before the colon of a coding", chunked(CHUNKS, b"transfer-encoding : a\r\n"), BAD


def _several() -> Iterator[Case]:
    yield "two requests", (GET + END) * 2, OK * 2
    yield "a hundred requests", (GET + END) * 100, OK * 100
    yield "a body and a request", POST + SIZED + END + BODY + GET + END, OK * 2
    yield "chunks and a request", POST + CHUNKED + END + CHUNKS + GET + END, OK * 2
    yield "line ends between", GET + END + END * 2 + GET + END, OK * 2
    yield "close and a request", GET + b"connection: close\r\n\r\n" + GET + END, OK
    yield "HTTP/1.0 and a request", b"GET / HTTP/1.0\r\n\r\n" + GET + END, OK
    yield "a request and nonsense", GET + END + b"nonsense\r\n\r\n", [200, 400]
    yield "nonsense and a request", b"nonsense\r\n\r\n" + GET + END, BAD
    yield "a body of a GET and a request", GET + b"content-length: 2\r\n\r\n{}" + GET + END, OK * 2


def _limits() -> Iterator[Case]:
    yield "a path of 4,000 bytes", b"GET /?" + b"a" * 4000 + b" HTTP/1.1\r\n" + HOST + END, OK
    yield (
        "a path of 100,000 bytes",
        b"GET /?" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + END,
        [431],
    )
    yield "a header of 4,000 bytes", GET + b"abc: " + b"d" * 4000 + b"\r\n\r\n", OK
    yield "a header of 100,000 bytes", GET + b"abc: " + b"d" * 100_000 + b"\r\n\r\n", [431]
    yield "a hundred headers", GET + b"abc: d\r\n" * 100 + END, OK
    yield "20,000 headers", GET + b"abc: d\r\n" * 20_000 + END, [431]
    yield "a name of 100,000 bytes", GET + b"a" * 100_000 + b": b\r\n\r\n", [431]
    yield "a head without an end", GET + b"abc: d\r\n", []
    yield "nothing", b"", []
    yield "half a line", b"GET / HT", []


def _other_protocols() -> Iterator[Case]:
    yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 32, BAD
    yield "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", BAD
    yield "SSH", b"SSH-2.0-OpenSSH_9.2\r\n", BAD
    yield "SMTP", b"EHLO localhost\r\n", BAD
    yield "RTSP", b"OPTIONS / RTSP/1.0\r\n\r\n", [405]
    yield "PROXY", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + GET + END, BAD
    yield "nulls", b"\0" * 100, BAD
    yield "bytes of every value", bytes(range(256)), BAD
