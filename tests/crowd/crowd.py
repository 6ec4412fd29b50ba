"""Tests an example server with many connections on loopback: crowd.py CONNECTIONS SERVER [OPTION]...

Three quarters of the connections are well-behaved (PyPI `websockets`) and exchange messages all the
time. The misbehaving peers are of three kinds, each a tenth of the connections:
- slow readers, which send and do not read. Half of them read later and must receive everything; the
  others never read;
- peers that vanish in the middle of a frame, half of them with a reset;
- half-open peers, which send nothing, half a request, nothing after the handshake, or nothing after
  a Close.

The server must end the connections of the misbehaving peers, and serve the well-behaved peers
meanwhile. Afterwards its memory, files and threads must be as before. This is done twice, and again
until the memory stops growing. Then more peers connect to a server than its limit of open files
allows: it must serve them when others have left.
"""

import asyncio
import collections
import contextlib
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

import websockets
from websockets.asyncio.client import connect

REQUEST = (
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()
MESSAGES = ["κόσμε €😀" * 7, b"\xff" * 300, "x" * 4000]
FRAME = b"\x82\xfe\x0f\xa0" + bytes(4 + 4000)  # masked with zeros
ECHO = b"\x82\x7e\x0f\xa0" + bytes(4000)
PATIENCE = 4  # seconds; the timers and the write timeout of the server
# The limit of simultaneous connects: if the queue of the listener overflows, the kernel drops a
# silent peer.
AT_A_TIME = 50
GATE = asyncio.Semaphore(AT_A_TIME)
MIB = 1 << 20
# The memory limit of a connection in the server: the stack of a thread, two buffers of 64 KiB, and
# a reserve.
PER_CONNECTION = 300 << 10


class Server:
    def __init__(self, command, files=None):
        def limit():
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        options = ["--patience", str(PATIENCE), "--connections", "100000"]
        command = [command[0], "127.0.0.1:0", *options, *command[1:]]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, text=True, preexec_fn=limit
        )
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), line
        host, port = line.split()[-1].split(":")
        self.address, self.url = (host, int(port)), f"ws://{host}:{port}/"

    def state(self):
        """Bytes of memory, open files, threads."""
        assert self.process.poll() is None, "the server has ended"
        folder = f"/proc/{self.process.pid}"
        status = dict(line.split(":", 1) for line in open(f"{folder}/status"))
        return int(status["VmRSS"].split()[0]) << 10, len(os.listdir(f"{folder}/fd")), int(status["Threads"])

    def stop(self):
        """Ends the server; returns its log lines, counted."""
        self.process.kill()
        self.process.wait()
        self.log.seek(0)
        lines = (line.split(": ", 1)[-1] for line in self.log)
        return collections.Counter(line.strip() for line in lines)


async def until(condition, seconds, message):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, message
        await asyncio.sleep(0.1)


class Good:
    """A well-behaved client that counts its echoes."""

    def __init__(self):
        self.echoes = 0
        self.times = []

    async def open(self, url):
        self.connection = await connect(url, compression=None, open_timeout=60, ping_interval=None)

    async def echo(self, message):
        start = time.perf_counter()
        await self.connection.send(message)
        assert await self.connection.recv() == message
        self.times.append(time.perf_counter() - start)
        self.echoes += 1

    async def run(self, stop, offset):
        await asyncio.sleep(offset)
        while not stop.is_set():
            await self.echo(MESSAGES[self.echoes % len(MESSAGES)])
            await asyncio.sleep(1)

    async def close(self):
        await self.connection.close(4000, "bye")
        assert self.connection.close_code == 4000, self.connection.close_code


async def raw(address, request=REQUEST):
    """A socket that has sent `request`, and has read the response if the request is complete."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    async with GATE:
        await loop.sock_connect(sock, address)
        await asyncio.sleep(0.01)
        await loop.sock_sendall(sock, request)
    if request is REQUEST:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await loop.sock_recv(sock, 1)
        assert head.startswith(b"HTTP/1.1 101 "), head
    await everyone.wait()
    return sock


async def slow_reader(address, reads):
    """Sends until the server accepts nothing for a second. Then reads everything, or waits."""
    loop = asyncio.get_running_loop()
    sock = await raw(address)
    sent = 0
    try:
        async with asyncio.timeout(30):
            while taken := await send_some(loop, sock, (FRAME * 16)[sent % len(FRAME) :]):
                sent += taken
    except (ConnectionResetError, BrokenPipeError):
        assert not reads, "the server ended the connection too early"
    if not reads:
        await asyncio.sleep(PATIENCE + 2)
        await read_to_end(sock)
        return sent
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
    # Reading lets the server continue. First the rest of the frame that was cut is sent.
    rest = FRAME[sent % len(FRAME) :] if sent % len(FRAME) else b""
    writing = asyncio.create_task(loop.sock_sendall(sock, rest))
    left = (sent + len(rest)) // len(FRAME) * len(ECHO)
    while left:
        part = await loop.sock_recv(sock, 1 << 16)
        at = -left % len(ECHO)
        assert part and part == (ECHO * 18)[at : at + len(part)], "not the echo of the frames sent"
        left -= len(part)
    await writing
    sock.close()
    return sent


async def send_some(loop, sock, part):
    """The number of bytes that the socket accepts within a second; 0 if none."""
    with contextlib.suppress(BlockingIOError):
        await asyncio.sleep(0)  # lets the other tasks run
        return sock.send(part)
    writable = loop.create_future()
    loop.add_writer(sock, lambda: writable.done() or writable.set_result(None))
    try:
        await asyncio.wait_for(writable, 1)
        return sock.send(part)
    except TimeoutError:
        return 0
    finally:
        loop.remove_writer(sock)


async def read_to_end(sock):
    """Reads until the server ends the stream."""
    loop = asyncio.get_running_loop()
    try:
        while await loop.sock_recv(sock, 65536):
            pass
    except (ConnectionResetError, BrokenPipeError):
        pass
    sock.close()


async def vanish(address, reset):
    loop = asyncio.get_running_loop()
    sock = await raw(address)
    await loop.sock_sendall(sock, FRAME[:500])
    await asyncio.sleep(1)
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()


async def half_open(address, kind):
    loop = asyncio.get_running_loop()
    requests = [b"", REQUEST[:60], REQUEST, REQUEST]
    sock = await raw(address, requests[kind])
    if kind == 3:
        await loop.sock_sendall(sock, b"\x88\x80\0\0\0\0")
    await read_to_end(sock)


def misbehave(address, count):
    """Runs `count` peers of each kind; returns how much each slow reader could send."""

    async def all():
        kinds = [(slow_reader, 2), (vanish, 2), (half_open, 4)]
        peers = [kind(address, at % variants) for kind, variants in kinds for at in range(count)]
        global everyone  # waits until all peers are connected
        everyone = asyncio.Barrier(len(peers))
        async with asyncio.timeout(90):
            return sorted((await asyncio.gather(*peers))[:count])

    return asyncio.run(all())


async def crowd(server, count):
    before = server.state()
    good = [Good() for _ in range(count * 3 // 4)]
    start = time.monotonic()
    for at in range(0, len(good), AT_A_TIME):
        await asyncio.gather(*(one.open(server.url) for one in good[at : at + AT_A_TIME]))
    opened = time.monotonic() - start
    stop = asyncio.Event()
    running = [asyncio.create_task(one.run(stop, at / len(good))) for at, one in enumerate(good)]
    await asyncio.sleep(3)
    alone = [time for one in good for time in one.times]
    # The misbehaving peers connect while the well-behaved continue.
    for one in good:
        one.times.clear()
    # They run in another process, so that they do not slow the well-behaved down.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        others = asyncio.get_running_loop().run_in_executor(pool, misbehave, server.address, count // 10)
        most = server.state()
        while not others.done():
            await asyncio.wait([others, *running], timeout=0.5, return_when=asyncio.FIRST_EXCEPTION)
            most = tuple(map(max, most, server.state()))
            for one in running:
                assert not one.done(), one.result()
        stuck = others.result()
    among = [time for one in good for time in one.times]
    assert all(one.times for one in good), "a well-behaved peer was not served meanwhile"
    stop.set()
    await asyncio.gather(*running)
    peak = most[0] - before[0]
    assert most[1] - before[1] >= count, f"only {most[1] - before[1]} were connected at once"
    assert peak < count * PER_CONNECTION, f"{peak >> 20} MiB for {count} connections"
    await asyncio.gather(*(one.close() for one in good))
    await until(lambda: server.state()[1] <= before[1], 20, f"files: {before[1]} before, {server.state()[1]} after")
    await until(lambda: server.state()[2] <= before[2], 20, f"threads: {before[2]} before, {server.state()[2]} after")
    after = server.state()

    def times(all):
        all = sorted(all)
        return f"median {all[len(all) // 2] * 1e3:.1f} ms, 99 % {all[len(all) * 99 // 100] * 1e3:.1f} ms of {len(all)}"

    print(
        f"  {len(good)} opened in {opened:.1f} s; an echo alone: {times(alone)}; with the others: {times(among)}\n"
        f"  slow readers could send {stuck[0] >> 10} to {stuck[-1] >> 10} KiB; at most {most[1]} files, "
        f"{most[2]} threads, {most[0] >> 20} MiB ({peak // count >> 10} KiB a connection); "
        f"after: {after[1]} files, {after[2]} threads, {after[0] >> 20} MiB",
        flush=True,
    )
    return after[0]


async def few_files(command):
    """Connects more peers than the server can have files open."""
    server = Server(command, files=60)
    waiting = [asyncio.create_task(one_echo(server.url)) for _ in range(200)]
    async with asyncio.timeout(60):
        await asyncio.gather(*waiting)
    server.state()
    log = server.stop()
    assert any("Too many open files" in line for line in log), log
    print("  a server with a limit of 60 files served all 200 peers and logged why some had to wait", flush=True)


async def one_echo(url):
    good = Good()
    await good.open(url)
    await good.echo("one")
    await asyncio.sleep(0.3)
    await good.close()


async def main(count, command):
    print(os.path.basename(command[0]), *command[1:], f"(websockets {websockets.version.version})", flush=True)
    server = Server(command)
    await one_echo(server.url)
    await until(lambda: server.state()[1] < 12, 10, "the first connection stays open")
    try:
        memory = [await crowd(server, count)]
        # The memory that the allocator keeps stops growing after the first runs.
        while len(memory) < 2 or memory[-1] > memory[-2] * 1.1 + 2 * MIB:
            assert len(memory) < 5, f"memory grows each time: {memory}"
            memory.append(await crowd(server, count))
    except BaseException:
        print(server.stop())
        raise
    log = server.stop()
    # The server ends the connection of a slow reader at the write timeout. If all its output was
    # written, it does so at the Pong timeout, as with a half-open peer.
    stuck = log["the peer reads too slowly"]
    silent = log["the peer has not answered a Ping"]
    expected = len(memory) * (count // 20 + (count // 10 + 1) // 4)
    most = len(memory) * (count // 20) * 9 // 10
    assert stuck >= most and stuck + silent >= expected, f"{stuck} and {silent} of {expected} connections were ended: {log}"
    await few_files(command)


def raise_limit(needed):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        sys.exit(f"{needed} open files are needed, and the limit is {hard}: see `ulimit -Hn`")
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


if __name__ == "__main__":
    count = int(sys.argv[1])
    # A connection of the blocking server has three.
    raise_limit(3 * count + 100)
    asyncio.run(main(count, sys.argv[2:]))
