"""Receives streams: peers.py websockets|wsproto. src/python.rs starts it and asks."""

import logging
import struct
import sys

sys.dont_write_bytecode = True  # writes nothing into the source tree

logging.disable()

KEY = "RQE9uqHfVtmZ7bZFdnNgzQ=="  # heads.rs: CLIENT_KEY
OFFERED = ["v2", "chat"]  # differential.rs: OFFERED


def select(_, offered):
    return next((protocol for protocol in OFFERED if protocol in offered), None)


class Websockets:
    """The Sans-I/O layer of `websockets`; text is decoded at the end of a message, as by its connections."""

    def __init__(self):
        from websockets.client import ClientProtocol
        from websockets.frames import Opcode
        from websockets.protocol import CLIENT, SERVER, Protocol
        from websockets.server import ServerProtocol
        from websockets.uri import parse_uri

        self.Protocol, self.Opcode = Protocol, Opcode
        self.ServerProtocol, self.ClientProtocol = ServerProtocol, ClientProtocol
        self.sides = SERVER, CLIENT
        self.uri = parse_uri("ws://a/")

    def frames(self, client, limit, stream, emit):
        protocol = self.Protocol(self.sides[client], max_size=(None, limit or None))
        protocol.receive_data(stream)
        protocol.receive_eof()
        opcodes = self.Opcode
        parts = None
        for frame in protocol.events_received():
            if frame.opcode is opcodes.PING:
                emit(b"I", frame.data)
            elif frame.opcode is opcodes.PONG:
                emit(b"A", frame.data)
            elif frame.opcode is not opcodes.CLOSE:
                if frame.opcode is not opcodes.CONT:
                    kind, parts = frame.opcode, []
                parts.append(frame.data)
                if frame.fin:
                    message = b"".join(parts)
                    if kind is opcodes.TEXT:
                        try:
                            message.decode()
                        except UnicodeDecodeError as error:
                            return emit(b"F", str(error).encode())
                    emit(b"T" if kind is opcodes.TEXT else b"B", message)
        error = protocol.parser_exc
        if error is None:
            close = protocol.close_rcvd
            emit(b"C", struct.pack("!H", close.code) + close.reason.encode())
        elif isinstance(error, EOFError):
            emit(b"S", b"")
        else:
            emit(b"F", f"{type(error).__name__}: {error}".encode())

    def head(self, client, stream, emit):
        if client:
            protocol = self.ClientProtocol(self.uri, subprotocols=OFFERED)
            protocol.key = KEY
            protocol.send_request(protocol.connect())
        else:
            protocol = self.ServerProtocol(select_subprotocol=select)
        # Line by line: it would read past the head without waiting for the answer.
        events, ended = [], False
        for line in stream.splitlines(keepends=True):
            protocol.receive_data(line)
            events = protocol.events_received()
            if events or protocol.handshake_exc:
                break
        else:
            ended = True
            protocol.receive_eof()
            events = protocol.events_received()
        error = protocol.handshake_exc
        if events and not client:
            response = protocol.accept(events[0])
            error = protocol.handshake_exc
        if error is None:
            emit(b"O", (protocol.subprotocol or "").encode())
            return emit(b"S", b"")
        cause = error.__cause__ or error
        if isinstance(cause, EOFError) and ended:
            return emit(b"S", b"")
        emit(b"F", f"{type(cause).__name__}: {cause}".encode())


class Wsproto:
    def __init__(self):
        from wsproto import events
        from wsproto.connection import Connection, ConnectionState, ConnectionType

        self.Connection, self.State, self.events = Connection, ConnectionState, events
        self.roles = ConnectionType.SERVER, ConnectionType.CLIENT

    def frames(self, client, _, stream, emit):
        connection = self.Connection(self.roles[client])
        connection.receive_data(stream)
        parts = []
        for event in connection.events():
            if isinstance(event, self.events.Ping):
                emit(b"I", event.payload)
            elif isinstance(event, self.events.Pong):
                emit(b"A", event.payload)
            elif isinstance(event, self.events.CloseConnection):
                if connection.state is self.State.REMOTE_CLOSING:
                    return emit(b"C", struct.pack("!H", event.code) + event.reason.encode())
                return emit(b"F", event.reason.encode(errors="replace"))
            else:
                parts.append(event.data)
                if event.message_finished:
                    if isinstance(event, self.events.TextMessage):
                        emit(b"T", "".join(parts).encode())
                    else:
                        emit(b"B", b"".join(parts))
                    parts = []
        emit(b"S", b"")


def main():
    peer = {"websockets": Websockets, "wsproto": Wsproto}[sys.argv[1]]()
    read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
    while question := read(9):
        flags, limit, length = struct.unpack("!BLL", question)
        stream = read(length)

        def emit(letter, content):
            write(letter + len(content).to_bytes(4, "big") + content)

        if flags & 2:
            peer.head(flags & 1, stream, emit)
        else:
            peer.frames(flags & 1, limit, stream, emit)
        sys.stdout.buffer.flush()


main()
