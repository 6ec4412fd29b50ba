"""Tests the device with peers: `websockets` for valid connections, plain sockets for invalid ones."""

import asyncio
import base64
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory as Deflate

import emulator
import figures

TARGETS = ["thumbv7em-none-eabihf", "thumbv7m-none-eabi", "thumbv6m-none-eabi"]
# Generous, for a busy machine. A passing test does not wait this long.
PATIENCE = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def same(actual, expected):
    assert actual == expected, f"{actual!r:.200} instead of {expected!r:.200}"


def pattern(length):
    return bytes(at % 251 for at in range(length))


def telemetry(number):
    """A short message that is like the others."""
    return f'{{"device":"sensor-{1000 + number % 8}","temperature":{20 + number % 3}.{number * 7 % 100:02},"seq":{number:06}}}'


# With the defaults of `websockets`, the device limits both windows to 512 bytes.
COMPRESSED = [
    {},
    {"extensions": [Deflate(client_max_window_bits=9)]},
    {"extensions": [Deflate(server_max_window_bits=8)]},
    {"extensions": [Deflate(server_no_context_takeover=True, client_no_context_takeover=True)]},
]
NOT_COMPRESSED = {"compression": None}
# Around the sizes of the device's buffers, and of lengths in headers.
SIZES = [509, 510, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 65535, 65536, 65537]


class Peer:
    """Connections to a device, and the tests."""

    def __init__(self, port):
        self.port = port

    def connect(self, path="/", **options):
        return connect(f"ws://127.0.0.1:{self.port}{path}", max_size=None, open_timeout=PATIENCE, **options)

    async def wait(self, emulator):
        """Waits until the device has started."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                async with connect(f"ws://127.0.0.1:{self.port}/", open_timeout=1):
                    return
            except (OSError, TimeoutError, websockets.InvalidMessage):
                assert emulator.poll() is None, "the device has stopped"
                assert time.monotonic() < deadline, "the device does not start"
                await asyncio.sleep(0.1)

    async def raw(self, path="/", extensions=""):
        """Opens a connection for handwritten frames, after the opening handshake."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: device\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return reader, writer

    # The tests.

    async def handshake(self):
        async with self.connect(origin="http://device.example", subprotocols=["a", "b"], **NOT_COMPRESSED) as ws:
            same((ws.response.status_code, ws.subprotocol, ws.protocol.extensions), (101, None, []))
        for path, status in [("/elsewhere", 404)]:
            try:
                async with self.connect(path):
                    raise AssertionError("not rejected")
            except websockets.InvalidStatus as refused:
                same(refused.response.status_code, status)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: device\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 426 "), "a request without an upgrade"
        writer.close()

    async def negotiation(self):
        for offer, answer in [
            (Deflate(), "server_max_window_bits=9; client_max_window_bits=9"),
            (Deflate(client_max_window_bits=9), "server_max_window_bits=9; client_max_window_bits=9"),
            (Deflate(server_max_window_bits=8), "server_max_window_bits=8; client_max_window_bits=9"),
            (
                Deflate(server_no_context_takeover=True, client_no_context_takeover=True),
                "server_no_context_takeover; client_no_context_takeover; "
                "server_max_window_bits=9; client_max_window_bits=9",
            ),
            # As Firefox and Safari offer it: the window of the client cannot be limited.
            (Deflate(client_max_window_bits=None), None),
        ]:
            async with self.connect(extensions=[offer]) as ws:
                response = ws.response.headers.get("Sec-WebSocket-Extensions")
                same(response, answer and f"permessage-deflate; {answer}")
                for message in ["compressed or not", "compressed or not, again"]:
                    await ws.send(message)
                    same(await ws.recv(), message)

    async def sizes(self):
        for options in [NOT_COMPRESSED, *COMPRESSED]:
            async with self.connect(**options) as ws:
                for length in [*range(132), *SIZES]:
                    for message in [pattern(length), "x" * length]:
                        await ws.send(message)
                        same(await ws.recv(), message)

    async def telemetry(self):
        for options in [NOT_COMPRESSED, *COMPRESSED]:
            async with self.connect(**options) as ws:
                for number in range(300):
                    await ws.send(telemetry(number))
                    same(await ws.recv(), telemetry(number))

    async def larger_than_memory(self):
        for options in [NOT_COMPRESSED, {}]:
            async with self.connect(**options) as ws:
                for message in [pattern(1 << 20), "Grüße, 🦀! " * 70_000, os.urandom(100_000)]:
                    await ws.send(message)
                    same(await ws.recv(), message)

    async def fragments(self):
        for options in [NOT_COMPRESSED, *COMPRESSED]:
            async with self.connect(**options) as ws:
                for parts in [["a", "", "é", "€🦀"], [b"", pattern(5000), b"", b"end"], ["", ""]]:
                    await ws.send(parts)
                    same(await ws.recv(), type(parts[0])().join(parts))

    async def bytes_on_the_wire(self):
        """Messages that zlib compresses here, with a window of 512 bytes; the device's are short too."""
        extensions = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9\r\n"
        reader, writer = await self.raw(extensions=extensions)
        ours, theirs = zlib.compressobj(wbits=-9), zlib.decompressobj(wbits=-9)
        lengths = []
        for number in range(20):
            message = telemetry(number).encode()
            deflated = (ours.compress(message) + ours.flush(zlib.Z_SYNC_FLUSH))[:-4]
            assert len(deflated) < 126
            writer.write(bytes([0xC1, 0x80 | len(deflated), 0, 0, 0, 0]) + deflated)
            received, first = b"", 0xC1
            while True:
                byte, length = await reader.readexactly(2)
                same(byte & 0x7F, first & 0x7F)
                assert length < 126
                received += await reader.readexactly(length)
                first = 0x80
                if byte & 0x80:
                    break
            same(theirs.decompress(received + b"\0\0\xFF\xFF"), message)
            lengths.append(len(received))
        writer.transport.abort()
        # All but the first refer to the one before.
        assert sum(lengths[1:]) < 19 * len(message) // 3, lengths

    async def wrong_compressed_data(self):
        extensions = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        for payload in [
            b"\x07",  # a block of a reserved kind
            b"\x02\x04\x00",  # a distance before the beginning
            b"\xf2\x48\xcd\xc9",  # it ends within a block
            b"",  # no block at all
        ]:
            reader, writer = await self.raw(extensions=extensions)
            writer.write(bytes([0xC2, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
            # What is right of it is echoed before.
            assert (await reader.read()).endswith(b"\x88\x02" + struct.pack(">H", 1007)), payload
            writer.close()

    async def pings(self):
        async with self.connect() as ws:
            for payload in [b"", b"x", pattern(125)]:
                await (await ws.ping(payload))

    async def the_client_closes(self):
        for code, reason in [(1000, ""), (1001, "r" * 123), (4999, "ü")]:
            ws = await self.connect()
            await ws.close(code, reason)
            same((ws.close_code, ws.protocol.close_rcvd.code), (code, code))
        reader, writer = await self.raw()
        writer.write(b"\x88\x80\0\0\0\0")
        same(await reader.read(), b"\x88\x00")
        writer.close()

    async def the_device_closes(self):
        for wrong in ["dance", "a command that is too long for it", b"led on"]:
            async with self.connect("/device") as ws:
                await ws.recv()
                await ws.send(wrong)
                try:
                    raise AssertionError(await ws.recv())
                except websockets.ConnectionClosed as closed:
                    same(closed.rcvd.code, 1008)
                    assert closed.rcvd.reason.startswith("commands: ")

    async def broken_rules(self):
        for frame, code in [
            (b"\xC1\x80\0\0\0\0", 1002),  # a reserved bit
            (b"\x83\x80\0\0\0\0", 1002),  # a reserved opcode
            (b"\x81\x01a", 1002),  # not masked
            (b"\x80\x80\0\0\0\0", 1002),  # an unexpected continuation
            (b"\x09\x80\0\0\0\0", 1002),  # a fragmented Ping
            (b"\x82\xFE\0\x7D\0\0\0\0", 1002),  # a length that is not minimal
            (b"\x82\xFF\x80" + bytes(7) + bytes(4), 1002),  # a length of more than 63 bits
            (b"\x81\x82\0\0\0\0\xC3\x28", 1007),  # invalid UTF-8
            (b"\x88\x81\0\0\0\0\x03", 1002),  # a Close with one byte of payload
        ]:
            reader, writer = await self.raw()
            writer.write(frame)
            same(await reader.read(), b"\x88\x02" + struct.pack(">H", code))
            writer.close()

    async def longer_than_32_bits(self):
        """A frame of 2^32 + 5 bytes: truncated to 32 bits, it would end after five."""
        reader, writer = await self.raw()
        writer.write(b"\x82\xFF" + struct.pack(">Q", (1 << 32) + 5) + bytes(4) + pattern(100))
        received = b""
        while len(received) < 100:
            first, length = await reader.readexactly(2)
            same(first, 0x00 if received else 0x02)
            assert length < 126
            received += await reader.readexactly(length)
        same(received, pattern(100))
        writer.transport.abort()

    async def a_peer_vanishes(self):
        """A peer that does not answer a Ping: the device ends the stream."""
        reader, writer = await self.raw()
        same(await reader.readexactly(2), b"\x89\x00")
        same(await reader.read(), b"")
        writer.close()

    async def a_peer_stops_in_the_middle(self):
        """The peer ends in a handshake, in a header or in a message, without a Close frame."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET / HTTP/1.1\r\nHo")
        same(await reader.read(), b"")
        writer.close()
        for part in [b"", b"\x82", b"\x82\xFE\x10\x00\0\0\0\0abc"]:
            reader, writer = await self.raw()
            writer.write(part)
            writer.write_eof()
            while await reader.read(4096):
                pass
            writer.close()
            reader, writer = await self.raw()
            writer.write(part)
            await writer.drain()
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def many_one_after_another(self):
        for number in range(200):
            async with self.connect() as ws:
                await ws.send(str(number))
                same(await ws.recv(), str(number))

    async def four_at_once(self):
        async def one(number):
            async with self.connect() as ws:
                for length in range(0, 20_000, 997):
                    message = bytes([number]) * length
                    await ws.send(message)
                    same(await ws.recv(), message)

        await asyncio.gather(*(one(number) for number in range(4)))

    async def pushes(self):
        import json

        async with self.connect("/device") as one, self.connect("/device", **NOT_COMPRESSED) as other:
            before = json.loads(await one.recv())
            same(json.loads(await other.recv())["counter"], before["counter"])
            for turn in range(100):
                await one.send("count")
                same([json.loads(await ws.recv())["counter"] for ws in (one, other)], [before["counter"] + turn + 1] * 2)
            for led in (True, False):
                await other.send("led on" if led else "led off")
                same([json.loads(await ws.recv())["led"] for ws in (one, other)], [led] * 2)
            await one.send("state")
            assert json.loads(await one.recv())["uptime"] > before["uptime"]


ECHO = [
    Peer.handshake,
    Peer.negotiation,
    Peer.sizes,
    Peer.telemetry,
    Peer.larger_than_memory,
    Peer.fragments,
    Peer.pings,
    Peer.the_client_closes,
    Peer.broken_rules,
    Peer.bytes_on_the_wire,
    Peer.wrong_compressed_data,
    Peer.longer_than_32_bits,
    Peer.four_at_once,
    Peer.many_one_after_another,
]
DEVICE = [Peer.the_device_closes, Peer.pushes]
# Slow because of the device's timeouts: they run beside the others.
SLOW = [Peer.a_peer_vanishes, Peer.a_peer_stops_in_the_middle]


def name(test):
    return test.__name__.replace("_", " ")


async def drive(target, program, tests, log):
    """Tests the device as a server."""
    port = free_port()
    command = emulator.command(target, program, *emulator.arguments("device"), *emulator.network(port))
    device = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log)
    try:
        peer = Peer(port)
        await peer.wait(device)
        slow = [asyncio.create_task(test(peer)) for test in SLOW]
        for test in tests:
            begun = time.monotonic()
            await asyncio.wait_for(test(peer), PATIENCE)
            print(f"{target}, {program.name}: {name(test)} ({time.monotonic() - begun:.1f} s)", flush=True)
        for test, task in zip(SLOW, slow):
            await asyncio.wait_for(task, PATIENCE)
            print(f"{target}, {program.name}: {name(test)}", flush=True)
        assert device.poll() is None, "the device has stopped"
    finally:
        device.kill()
        device.wait()


async def drive_client(target, program, log, compression):
    """Tests the device as a client of a server on the host."""
    closes = []

    async def echo(ws):
        same(bool(ws.protocol.extensions), bool(compression))
        async for message in ws:
            # Reply in fragments of different sizes.
            if isinstance(message, bytes):
                message = [message[:1], message[1:1000], message[1000:]]
            await ws.send(message)
        closes.append((ws.close_code, ws.close_reason))

    async with serve(echo, "127.0.0.1", 0, max_size=None, compression=compression) as server:
        port = server.sockets[0].getsockname()[1]
        words = emulator.arguments("device", "client", port)
        command = emulator.command(target, program, *words, *emulator.network())
        device = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log)
        try:
            same(await asyncio.wait_for(asyncio.to_thread(device.wait), PATIENCE), 0)
        finally:
            device.kill()
            device.wait()
    same(closes, [(1000, "that is all")])
    print(f"{target}, {program.name}: as a client, compression: {compression}", flush=True)


async def with_log(program, work):
    """Runs `work` with a log file for the device. Prints the log if it fails."""
    log = Path(f"{program}.log")
    try:
        with log.open("wb") as file:
            await work(file)
    except BaseException:
        printer = shutil.which("defmt-print")
        if printer and program.name == "device":
            subprocess.run([printer, "-e", program], stdin=log.open("rb"))
        raise


def main():
    for target in sys.argv[1:] or TARGETS:
        device = figures.build(target, "device") / "device"
        asyncio.run(with_log(device, lambda log: drive(target, device, ECHO + DEVICE, log)))
        for compression in [None, "deflate"]:
            asyncio.run(with_log(device, lambda log: drive_client(target, device, log, compression)))
        if target == TARGETS[0]:
            tasks = figures.build(target, "async-device") / "async-device"
            asyncio.run(with_log(tasks, lambda log: drive(target, tasks, ECHO, log)))


main()
