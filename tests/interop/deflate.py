"""Peers that compress: PyPI `websockets` and `aiohttp`, each as client and as server.

deflate.py websockets|aiohttp client URL [WINDOW TAKEOVER]
deflate.py websockets|aiohttp server

A client sends messages, and checks their echoes. A server prints its URL, and does the same with each
client. Both print how many messages were exchanged with compression.
"""

import asyncio
import json
import random
import sys

MESSAGES = 1000


def messages():
    choose = random.Random(1)
    for number in range(MESSAGES):
        kind = number % 10
        if kind == 7:
            yield bytes(choose.randrange(256) for _ in range(choose.randrange(300)))
        elif kind == 8:
            yield "grün, 値段, 😀 " * choose.randrange(40)
        elif number == 509:
            yield json.dumps(list(range(20_000)))
        elif kind == 9:
            yield ""
        else:
            yield json.dumps({"sensor": choose.randrange(20), "temperature": choose.random() * 40, "number": number})


async def websockets_client(url, window=None, takeover=None):
    from websockets.asyncio.client import connect
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    options = {"compression": "deflate"}
    if window:
        own = {"server_max_window_bits": int(window), "client_max_window_bits": int(window)}
        none = takeover == "no"
        factory = ClientPerMessageDeflateFactory(none, none, **own)
        options = {"compression": None, "extensions": [factory]}
    async with connect(url, max_size=None, **options) as ws:
        return await exchange(ws.send, ws.recv, str(ws.protocol.extensions))


async def exchange(send, receive, extensions):
    assert "deflate" in extensions.lower(), extensions
    for message in messages():
        await send(message)
        echo = await receive()
        assert echo == message, (echo[:80], message[:80])
    print(f"{MESSAGES} messages", flush=True)


async def websockets_server():
    from websockets.asyncio.server import serve

    async def handler(ws):
        if "getCaseCount" in ws.request.path:
            await ws.send("1")
        elif "runCase" in ws.request.path:
            await exchange(ws.send, ws.recv, str(ws.protocol.extensions))

    async with serve(handler, "127.0.0.1", 0, max_size=None) as server:
        print(f"listening on {server.sockets[0].getsockname()[0]}:{server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.Future()


def aiohttp_calls(ws):
    import aiohttp

    async def send(message):
        await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))

    async def receive():
        message = await ws.receive()
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        return message.data

    return send, receive


async def aiohttp_client(url, window="15", takeover=None):
    import aiohttp

    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, compress=int(window), max_msg_size=0) as ws:
            await exchange(*aiohttp_calls(ws), "deflate" if ws.compress else "")


async def aiohttp_server():
    from aiohttp import web

    async def handler(request):
        ws = web.WebSocketResponse(compress=True, max_msg_size=0)
        await ws.prepare(request)
        if "getCaseCount" in request.path:
            await ws.send_str("1")
        elif "runCase" in request.path:
            await exchange(*aiohttp_calls(ws), "deflate" if ws.compress else "")
        await ws.close()
        return ws

    app = web.Application()
    app.router.add_get("/{path}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = site._server.sockets[0].getsockname()
    print(f"listening on {host}:{port}", flush=True)
    await asyncio.Future()


library, role, *arguments = sys.argv[1:]
asyncio.run(globals()[f"{library}_{role}"](*arguments))
