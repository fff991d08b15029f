"""The second argument names the library, the first of what follows `settings`; see control.mjs for what is said."""

import asyncio
import gc
import json
import sys

library, settings = sys.argv[1], json.loads(sys.argv[2])
kind, size = settings["kind"], settings["maxMessageSize"]
everyone = set()


def say(answer):
    print(json.dumps(answer), flush=True)


async def answer_questions():
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if line == b"gc\n":
            gc.collect()
        say({"gc": True})


async def answer(data, send):
    if kind == "json":
        await send(json.dumps(json.loads(data), separators=(",", ":")))
    elif kind == "echo":
        await send(data)


async def run_websockets():
    import websockets

    async def handle(socket):
        everyone.add(socket)
        try:
            async for data in socket:
                if kind == "broadcast":
                    websockets.broadcast(everyone, data)
                else:
                    await answer(data, socket.send)
        except websockets.ConnectionClosed:
            pass
        finally:
            everyone.discard(socket)

    async with websockets.serve(handle, "127.0.0.1", 0, max_size=size, compression=None) as server:
        say({"port": server.sockets[0].getsockname()[1]})
        await answer_questions()


async def run_aiohttp():
    from aiohttp import WSMsgType, web

    async def handle(request):
        socket = web.WebSocketResponse(max_msg_size=size + 1, compress=False)
        await socket.prepare(request)
        everyone.add(socket)
        try:
            async for message in socket:
                is_text = message.type == WSMsgType.TEXT
                if kind == "broadcast":
                    for one in list(everyone):
                        await (one.send_str if is_text else one.send_bytes)(message.data)
                else:
                    await answer(message.data, socket.send_str if is_text else socket.send_bytes)
        finally:
            everyone.discard(socket)
        return socket

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    say({"port": runner.addresses[0][1]})
    await answer_questions()


asyncio.run(run_websockets() if library == "websockets" else run_aiohttp())
