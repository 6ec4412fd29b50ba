"""A peer of the interop tests: PyPI `websockets`. See common.py."""

import socket
import sys
from urllib.parse import urlsplit

sys.dont_write_bytecode = True  # keeps the source tree as it is

import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect as websockets_connect
from websockets.sync.server import serve as websockets_serve

import common


def frame(message, mask):
    opcode, data = (Opcode.TEXT, message.encode()) if isinstance(message, str) else (Opcode.BINARY, message)
    return Frame(opcode, data).serialize(mask=mask)


class GluingSocket(socket.socket):
    """Sends `glued` together with the first data, which is the request."""

    glued = b""

    def sendall(self, data):
        data, self.glued = data + self.glued, b""
        super().sendall(data)


class Connection:
    def __init__(self, ws):
        self.ws = ws
        self.subprotocol = ws.subprotocol
        self.send = ws.send
        self.close = ws.close

    def send_fragments(self, message, ping=None):
        pongs = []

        def fragments():
            # Bytes, so that the fragments can cut characters.
            for part in common.cut(message.encode() if isinstance(message, str) else message):
                yield part
                if ping and not pongs:
                    pongs.append(self.ws.ping(ping))

        try:
            self.ws.send(fragments(), text=isinstance(message, str))
        except ConnectionClosed:
            raise common.Closed from None
        for pong in pongs:
            pong.wait()

    def receive(self):
        try:
            return list(self.ws.recv_streaming())
        except ConnectionClosed:
            raise common.Closed from None

    def ping(self, payload):
        self.ws.ping(payload).wait()

    def closed(self):
        self.ws.wait_closed()
        return self.ws.close_code, self.ws.close_reason

    def drop(self):
        self.ws.socket.shutdown(socket.SHUT_RDWR)


def connect(url, subprotocols=None, origin=None, glued=()):
    to = urlsplit(url)
    sock = GluingSocket()
    sock.connect((to.hostname, to.port))
    sock.glued = b"".join(frame(message, mask=True) for message in glued)
    try:
        ws = websockets_connect(url, sock=sock, subprotocols=subprotocols, origin=origin)
        return Connection(ws.__enter__())  # never exited: the checks close it
    except InvalidStatus as error:
        raise common.Refused(error.response.status_code, error.response.body) from None


def serve():
    def respond(connection, request):
        return connection.respond(403, "no") if request.path == "/refuse" else None

    def glue(_, request, response):
        if request.path == "/glued":
            response.body = b"".join(frame(message, mask=False) for message in common.GLUED)

    def select(_, offered):
        return common.SUBPROTOCOL if common.SUBPROTOCOL in offered else None

    def handle(ws):
        headers = {name.lower(): value for name, value in ws.request.headers.raw_items()}
        common.converse(Connection(ws), ws.request.path, headers)

    options = dict(process_request=respond, process_response=glue, select_subprotocol=select)
    with websockets_serve(handle, "127.0.0.1", 0, **options) as server:
        print("listening on %s:%s" % server.socket.getsockname(), flush=True)
        server.serve_forever()


common.main(connect, serve, f"websockets {websockets.version.version}")
