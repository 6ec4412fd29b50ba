"""A peer of the interop tests: PyPI `wsproto`, with a blocking socket driver. See common.py."""

import collections
import socket
import sys
import threading
from urllib.parse import urlsplit

sys.dont_write_bytecode = True  # keeps the source tree as it is

import wsproto
from wsproto.connection import Connection as FramesOnly
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

import common


def event_of(message, finished=True):
    return (TextMessage if isinstance(message, str) else BytesMessage)(message, message_finished=finished)


class Connection:
    subprotocol = None

    def __init__(self, sock, role):
        self.sock = sock
        self.ws = wsproto.WSConnection(role)
        self.events = collections.deque()
        self.close_received = None

    def emit(self, *events):
        self.sock.sendall(b"".join(map(self.ws.send, events)))

    def next_event(self):
        while not self.events:
            data = self.sock.recv(1 << 16)
            self.ws.receive_data(data or None)
            self.events.extend(self.ws.events())
            if not data and not self.events:
                raise ConnectionError("end of stream within the handshake")
        return self.events.popleft()

    def send(self, message):
        self.emit(event_of(message))

    def send_fragments(self, message, ping=None):
        first, *others, last = common.cut(message)
        self.emit(event_of(first, finished=False))
        if ping is not None:
            self.ping(ping)
        for part in others:
            self.emit(event_of(part, finished=False))
        self.emit(event_of(last))

    def receive(self):
        fragments, payload = [], []
        while True:
            match self.next_event():
                case Ping() as ping:
                    self.emit(ping.response())
                case Message() as part:
                    payload.append(part.data)
                    if part.frame_finished:
                        fragments.append(common.whole(payload))
                        payload = []
                    if part.message_finished:
                        return fragments
                case CloseConnection() as close:
                    if self.ws.state is ConnectionState.REMOTE_CLOSING:
                        self.emit(close.response())
                    self.close_received = int(close.code), close.reason or ""
                    self.end()
                    raise common.Closed
                case other:
                    raise AssertionError(f"unexpected {other}")

    def end(self):
        # The server ends the TCP connection; the client waits for that.
        if self.ws.client:
            common.equal(self.sock.recv(1), b"")
        self.drop()

    def ping(self, payload):
        self.emit(Ping(payload))
        common.equal(self.next_event(), Pong(payload))

    def close(self, code, reason):
        self.emit(CloseConnection(code, reason))

    def closed(self):
        while self.close_received is None:
            try:
                self.receive()
            except common.Closed:
                pass
        return self.close_received

    def drop(self):
        self.sock.close()


def connect(url, subprotocols=(), origin=None, glued=()):
    to = urlsplit(url)
    connection = Connection(socket.create_connection((to.hostname, to.port)), ConnectionType.CLIENT)
    headers = [(b"Origin", origin.encode())] if origin else []
    request = Request(to.netloc, to.path or "/", extra_headers=headers, subprotocols=list(subprotocols))
    frames = FramesOnly(ConnectionType.CLIENT)
    connection.sock.sendall(
        connection.ws.send(request) + b"".join(frames.send(event_of(message)) for message in glued)
    )
    match connection.next_event():
        case AcceptConnection(subprotocol=subprotocol):
            connection.subprotocol = subprotocol
            return connection
        case RejectConnection(status_code=status):
            body = b""
            while not (data := connection.next_event()).body_finished:
                body += data.data
            raise common.Refused(status, body)


def handle(sock):
    connection = Connection(sock, ConnectionType.SERVER)
    request = connection.next_event()
    if request.target == "/refuse":
        length = [(b"Content-Length", b"2")]
        connection.emit(RejectConnection(403, length, has_body=True), RejectData(b"no"))
        return connection.drop()
    subprotocol = common.SUBPROTOCOL if common.SUBPROTOCOL in request.subprotocols else None
    glued = map(event_of, common.GLUED if request.target == "/glued" else [])
    connection.emit(AcceptConnection(subprotocol), *glued)
    headers = {name.decode(): value.decode() for name, value in request.extra_headers}
    common.converse(connection, request.target, headers)


def serve():
    with socket.create_server(("127.0.0.1", 0)) as server:
        print("listening on %s:%s" % server.getsockname(), flush=True)
        while True:
            threading.Thread(target=handle, args=server.accept()[:1], daemon=True).start()


common.main(connect, serve, f"wsproto {wsproto.__version__}")
