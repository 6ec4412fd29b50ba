"""Peers that compress: PyPI `websockets` and `aiohttp`, each as client and as server.

deflate.py websockets|aiohttp client URL [WINDOW TAKEOVER]
deflate.py websockets|aiohttp server [WINDOW TAKEOVER]

A client sends messages, and Pings between them, and checks the echoes and Pongs. A server prints its
address, and does the same with each client. Both print how many messages were exchanged, and how many
bytes they have in each direction. Window and context takeover are the same in both directions; aiohttp's
server has neither option, and its client only the window.
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
        if number == 507:
            yield choose.randbytes(70_000)
        elif kind == 7:
            yield bytes(choose.randrange(256) for _ in range(choose.randrange(300)))
        elif kind == 8:
            yield "grün, 値段, 😀 " * choose.randrange(400)
        elif number == 509:
            yield json.dumps(list(range(10_000)))
        elif kind == 9:
            yield ""
        else:
            yield json.dumps({"sensor": choose.randrange(20), "temperature": choose.random() * 40, "number": number})


async def websockets_client(url, window=None, takeover=None):
    from websockets.asyncio.client import connect
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    options = websockets_options(ClientPerMessageDeflateFactory, window, takeover)
    async with connect(url, max_size=None, **options) as ws:
        return await exchange(*websockets_calls(ws))


def websockets_options(factory, window, takeover):
    if not window:
        return {}
    none = takeover == "no"
    return {"compression": None, "extensions": [factory(none, none, int(window), int(window))]}


def websockets_calls(ws):
    return ws.send, ws.recv, ws.ping, str(ws.protocol.extensions)


async def exchange(send, receive, ping, extensions):
    assert "deflate" in extensions.lower(), extensions
    pongs, total = [], 0
    for number, message in enumerate(messages()):
        if number % 16 == 0:
            pongs.append(await ping())
        await send(message)
        echo = await receive()
        assert echo == message, (echo[:80], message[:80])
        total += len(message.encode() if isinstance(message, str) else message)
    for pong in filter(None, pongs):
        await pong
    print(f"{MESSAGES} messages, {total} bytes", flush=True)


async def websockets_server(window=None, takeover=None):
    from websockets.asyncio.server import serve
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    async def handler(ws):
        if "getCaseCount" in ws.request.path:
            await ws.send("1")
        elif "runCase" in ws.request.path:
            await exchange(*websockets_calls(ws))

    options = websockets_options(ServerPerMessageDeflateFactory, window, takeover)
    async with serve(handler, "127.0.0.1", 0, max_size=None, **options) as server:
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

    return send, receive, ws.ping, "deflate" if ws.compress else ""


async def aiohttp_client(url, window="15", takeover=None):
    import aiohttp

    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, compress=int(window), max_msg_size=0) as ws:
            await exchange(*aiohttp_calls(ws))


async def aiohttp_server():
    from aiohttp import web

    async def handler(request):
        ws = web.WebSocketResponse(compress=True, max_msg_size=0)
        await ws.prepare(request)
        if "getCaseCount" in request.path:
            await ws.send_str("1")
        elif "runCase" in request.path:
            await exchange(*aiohttp_calls(ws))
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
