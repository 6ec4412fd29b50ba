"""The messages, checks and scenarios that the Python peers share.

A peer calls `main` with two functions: `connect(url, subprotocols, origin, glued)` and
`serve()`, which calls `converse(connection, path, headers)` for each client. Connections have

    subprotocol
    send(message)                   a `str` as text, `bytes` as binary
    send_fragments(message, ping)   the message in fragments, a ping after the first; waits for the pong
    receive()                       the fragments of the next message; raises `Closed`
    ping(payload)                   waits for the pong with the same payload
    close(code, reason)             starts the closing handshake
    closed()                        waits for the end of the connection; returns the code and reason received
    drop()                          ends the connection without a closing handshake
"""

import contextlib
import faulthandler
import sys

SIZES = [0, 125, 126, 65535, 65536, 1 << 20]
MIXED = "aé€😀"  # one, two, three and four bytes in UTF-8
FRAGMENTED = MIXED * 3
SUBPROTOCOL = "beta"
GLUED = ["glued", b"\x00\xff"]
DEADLINE = 25


class Closed(Exception):
    """The connection was closed."""


class Refused(Exception):
    """The handshake was answered with the status `args[0]` and the body `args[1]`."""


def text(size):
    """Text of `size` bytes in UTF-8."""
    return MIXED * (size // 10) + "x" * (size % 10)


def binary(size):
    return bytes(i % 251 for i in range(size))


def whole(fragments):
    return fragments[0][:0].join(fragments)


def cut(message):
    size = max(3, len(message) // 4)
    return [message[i : i + size] for i in range(0, len(message), size)]


@contextlib.contextmanager
def check(name):
    try:
        yield
    except BaseException:
        print("FAILED", name, flush=True)
        raise
    print("ok", name, flush=True)


def equal(got, expected):
    assert got == expected, f"{str(got)[:200]!r} is not {str(expected)[:200]!r}"


def echoes(connection, message):
    connection.send(message)
    fragments = connection.receive()
    equal(whole(fragments), message)
    return fragments


def echoes_all_sizes(connection):
    for size in SIZES:
        for make in text, binary:
            with check(f"{make.__name__} of {size} bytes"):
                fragments = echoes(connection, make(size))
    return fragments


def closes(connection, *close):
    connection.close(*close)
    # A reply echoes the code (RFC 6455 section 5.5.1); our replies have no reason.
    equal(connection.closed(), (close[0] or 1005, ""))


def check_echo(connect, url):
    """Against `echo_server --protocol beta --protocol alpha --bye bye`."""
    with check("no subprotocol"):
        connection = connect(url)
        equal(connection.subprotocol, None)
    echoes_all_sizes(connection)
    for message in FRAGMENTED, FRAGMENTED.encode():
        with check(f"fragments of {type(message).__name__} around a ping"):
            connection.send_fragments(message, b"between")
            equal(whole(connection.receive()), message)
    with check("ping"):
        connection.ping(b"ours")
        connection.ping(b"x" * 125)
        connection.ping(b"")
    with check("close with code and reason"):
        closes(connection, 4001, "theirs")
    with check("close without a code"):
        closes(connect(url), None, "")
    with check("close by the server"):
        connection = connect(url)
        connection.send("bye")
        equal(connection.closed(), (1000, "bye"))
    with check("subprotocol"):
        connection = connect(url, subprotocols=["gamma", "alpha", SUBPROTOCOL])
        equal(connection.subprotocol, SUBPROTOCOL)
        echoes(connection, "spoken")
        closes(connection, 1000, "")
    with check("no subprotocol in common"):
        connection = connect(url, subprotocols=["gamma"])
        equal(connection.subprotocol, None)
        closes(connection, 1000, "")
    with check("frames glued to the handshake"):
        connection = connect(url, glued=GLUED)
        for message in GLUED:
            equal(whole(connection.receive()), message)
        closes(connection, 1000, "")


def check_pieces(connect, url):
    """Against `echo_server --pieces`."""
    with check("open"):
        connection = connect(url)
    fragments = echoes_all_sizes(connection)
    with check("in pieces"):
        assert len(fragments) > 1, "a single frame"
    for message in FRAGMENTED, FRAGMENTED.encode():
        with check(f"fragments of {type(message).__name__}"):
            connection.send_fragments(message)
            equal(whole(connection.receive()), message)
    with check("close"):
        closes(connection, 4001, "theirs")


def check_limit(connect, url):
    """Against `echo_server --max-message 4096`."""
    with check("open"):
        connection = connect(url)
    for size in 0, 125, 126, 4096:
        for make in text, binary:
            with check(f"{make.__name__} of {size} bytes"):
                echoes(connection, make(size))
    with check("message too big"):
        connection.send(binary(4097))
        equal(connection.closed()[0], 1009)
    with check("message too big in fragments"):
        connection = connect(url)
        with contextlib.suppress(Closed):  # the server can close before the last fragment
            connection.send_fragments(binary(4097))
        equal(connection.closed()[0], 1009)


def check_origin(connect, url):
    """Against `echo_server --origin http://good.example`."""
    with check("allowed origin"):
        connection = connect(url, origin="http://good.example")
        echoes(connection, "hello")
        closes(connection, 1000, "")
    for origin in None, "http://bad.example", "http://good.example.evil":
        with check(f"refused origin {origin}"):
            try:
                connect(url, origin=origin)
            except Refused as refused:
                equal(refused.args[0], 403)
                assert refused.args[1], "no body"
            else:
                raise AssertionError("not refused")


def converse(connection, path, headers):
    """Serves a client that requested `path`; each peer implements `/refuse` and `/glued`."""
    try:
        match path:
            case "/headers":
                connection.send(headers.get("x-interop", ""))
            case "/ping":
                connection.ping(b"theirs")
                connection.send("pong theirs")
            case "/fragments":
                connection.send_fragments(FRAGMENTED, b"between")
            case "/close":
                connection.close(1001, "going")
            case "/drop":
                return connection.drop()
        while True:
            fragments = connection.receive()
            connection.send(f"{len(fragments)} frames" if path == "/frames" else whole(fragments))
    except Closed:
        print("closed", *connection.closed(), flush=True)


def main(connect, serve, version):
    match sys.argv[1:]:
        case ["version"]:
            print(version)
        case ["server"]:
            serve()
        case ["client", url, *checks] if len(checks) < 2:
            # One deadline for the whole run; prints a traceback if it is missed.
            faulthandler.dump_traceback_later(DEADLINE, exit=True)
            globals()["check_" + (checks or ["echo"])[0]](connect, url)
        case _:
            sys.exit(f"usage: {sys.argv[0]} client URL [echo|pieces|limit|origin] | server | version")
