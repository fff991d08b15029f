"""One end of a WebSocket, led from outside: a command per line comes in as JSON, and an answer per line goes out.

A command is {"do": NAME, ...its arguments}; the answer {"value": ...} or {"error": ..., "message": ...}. The methods of
Peer are the commands. Text travels as {"text": ...}, bytes as {"binary": base64}. Ends with its input.
"""

import asyncio
import base64
import http
import json
import sys

# The interface that versions from 9 on have in common.
from websockets.legacy.client import connect
from websockets.legacy.server import serve

def encode(message):
    if isinstance(message, str):
        return {"text": message}
    return {"binary": base64.b64encode(message).decode()}


def decode(message):
    if "text" in message:
        return message["text"]
    return base64.b64decode(message["binary"])


class Peer:
    def __init__(self):
        self.accepted = asyncio.Queue()
        self.socket = None
        self.server = None

    async def connect(self, url, headers=None, **options):
        """Connects as a client."""
        self.socket = await connect(url, extra_headers=headers, **options)
        return self.describe()

    async def serve(self, refuse=False, **options):
        """Listens as a server, on a free port; with refuse it answers every request with 401."""

        async def handle(socket):
            await self.accepted.put(socket)
            await socket.wait_closed()

        async def refusal(_path, _headers):
            return http.HTTPStatus.UNAUTHORIZED, [("WWW-Authenticate", "Bearer")], b"Who are you?"

        options["process_request"] = refusal if refuse else None
        self.server = await serve(handle, "127.0.0.1", 0, **options)
        return self.server.sockets[0].getsockname()[1]

    async def accept(self):
        """The next connection becomes the one that the other commands are about."""
        self.socket = await self.accepted.get()
        return self.describe()

    def describe(self):
        extensions = [extension.name for extension in self.socket.extensions]
        return {"subprotocol": self.socket.subprotocol, "extensions": extensions}

    async def send(self, **message):
        await self.socket.send(decode(message))

    async def send_fragments(self, fragments):
        await self.socket.send([decode(fragment) for fragment in fragments])

    async def read(self):
        return encode(await self.socket.recv())

    async def echo(self, count):
        """Sends the next messages back as they come."""
        for _ in range(count):
            await self.socket.send(await self.socket.recv())

    async def ping(self):
        """Resolves when the pong has come."""
        await (await self.socket.ping(b"ping of Python"))

    async def close(self, code=1000, reason=""):
        await self.socket.close(code, reason)

    async def hang_up(self):
        self.socket.transport.abort()

    async def closed(self):
        """How the connection has ended, once it has."""
        await self.socket.wait_closed()
        return {"code": self.socket.close_code, "reason": self.socket.close_reason}


async def answer(peer, line):
    command = json.loads(line)
    try:
        return {"value": await getattr(peer, command.pop("do"))(**command)}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error), "status": getattr(error, "status_code", None)}


async def main():
    peer = Peer()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await answer(peer, line)), flush=True)
    if peer.socket is not None:
        await peer.socket.close()
    if peer.server is not None:
        peer.server.close()
        await peer.server.wait_closed()


asyncio.run(main())
