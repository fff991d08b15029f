"""One end of a WebSocket, led from outside: a command per line comes in as JSON, and an answer per line goes out.

A command is {"do": NAME, ...its arguments}; the answer {"value": ...} or {"error": ..., "message": ...}. The methods of
Peer are the commands. Text travels as {"text": ...}, bytes as {"binary": base64}. Ends with its input.
"""

import asyncio
import base64
import json
import sys


class Refused(Exception):
    """Our handshake was answered with another status than 101."""

    def __init__(self, status):
        super().__init__(f"status {status}")
        self.status = status


class Ended(Exception):
    """There is no more message."""


def encode(message):
    if isinstance(message, str):
        return {"text": message}
    return {"binary": base64.b64encode(message).decode()}


def decode(message):
    if "text" in message:
        return message["text"]
    return base64.b64decode(message["binary"])


class Link:
    """One connection. A library's own kind of it calls the on_ methods, from one task that reads all the time."""

    def __init__(self):
        self.messages = asyncio.Queue()
        self.pongs = asyncio.Queue()
        self.ended = asyncio.get_running_loop().create_future()

    def describe(self):
        """The subprotocol, and the names of the extensions (None where the library does not tell)."""
        raise NotImplementedError

    async def send(self, message):
        raise NotImplementedError

    async def send_fragments(self, fragments):
        """With a ping between them."""
        raise NotImplementedError

    async def ping(self):
        """Sends it; the pong is told by on_pong."""
        raise NotImplementedError

    async def close(self, code, reason):
        """Sends a Close frame, without contents where code is None."""
        raise NotImplementedError

    def abort(self):
        """Drops the TCP connection."""
        raise NotImplementedError

    def on_message(self, message):
        self.messages.put_nowait(message)

    def on_pong(self):
        self.pongs.put_nowait(None)

    def on_end(self, code, reason=""):
        """The Close frame that came: 1005 for an empty one, 1006 for none. The first call counts."""
        if not self.ended.done():
            self.ended.set_result({"code": code, "reason": reason})
            self.messages.put_nowait(None)
            self.pongs.put_nowait(Ended())

    async def read(self):
        message = await self.messages.get()
        if message is None:
            self.messages.put_nowait(None)
            raise Ended("the connection has ended")
        return message

    async def pong(self):
        gone = await self.pongs.get()
        if gone is not None:
            raise gone


class Peer:
    """A library's own kind of it says how to open connections. None of them has write_buffer, which is gorilla's."""

    def __init__(self):
        self.accepted = asyncio.Queue()
        self.link = None

    async def open(self, url, **options):
        """Connects as a client, and returns a Link."""
        raise NotImplementedError

    async def listen(self, **options):
        """Listens on a free port in place of any before, puts a Link into accepted for each connection, and returns the port."""
        raise NotImplementedError

    async def stop(self):
        """Closes what listens, if anything does."""

    def describe(self):
        subprotocol, extensions = self.link.describe()
        return {"subprotocol": subprotocol, "extensions": extensions}

    async def connect(self, url, write_buffer=None, **options):
        self.link = await self.open(url, **options)
        return self.describe()

    async def serve(self, write_buffer=None, **options):
        return await self.listen(**options)

    async def accept(self):
        self.link = await self.accepted.get()
        return self.describe()

    async def send(self, **message):
        await self.link.send(decode(message))

    async def send_fragments(self, fragments):
        await self.link.send_fragments([decode(fragment) for fragment in fragments])
        await self.link.pong()

    async def send_as_text(self, binary):
        await self.link.send_as_text(base64.b64decode(binary))

    async def read(self):
        return encode(await self.link.read())

    async def echo(self, count):
        for _ in range(count):
            await self.link.send(await self.link.read())

    async def ping(self):
        await self.link.ping()
        await self.link.pong()

    async def close(self, code=None, reason=""):
        await self.link.close(code, reason)

    async def hang_up(self):
        self.link.abort()

    async def closed(self):
        return await self.link.ended


async def answer(peer, line):
    command = json.loads(line)
    try:
        return {"value": await getattr(peer, command.pop("do"))(**command)}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error), "status": getattr(error, "status", None)}


async def lead(make_peer):
    peer = make_peer()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await answer(peer, line)), flush=True)
    if peer.link is not None:
        peer.link.abort()
    await peer.stop()


def run(make_peer):
    asyncio.run(lead(make_peer))
