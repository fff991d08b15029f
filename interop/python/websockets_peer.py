"""python3-websockets as a peer."""

import asyncio
import http

import led
from websockets.exceptions import ConnectionClosed, InvalidStatusCode

# The interface that versions from 9 on have in common.
from websockets.legacy.client import connect
from websockets.legacy.server import serve


class Link(led.Link):
    def __init__(self, socket):
        super().__init__()
        self.socket = socket
        self.reader = asyncio.create_task(self.receive())

    def describe(self):
        return self.socket.subprotocol, [extension.name for extension in self.socket.extensions]

    async def receive(self):
        try:
            while True:
                self.on_message(await self.socket.recv())
        except ConnectionClosed:
            await self.socket.wait_closed()
            self.on_end(self.socket.close_code, self.socket.close_reason)

    async def send(self, message):
        await self.socket.send(message)

    async def send_fragments(self, fragments):
        async def with_ping():
            for index, fragment in enumerate(fragments):
                yield fragment
                if index == 0:
                    await self.ping()

        await self.socket.send(with_ping())

    async def ping(self):
        pong = await self.socket.ping(b"ping of Python")
        pong.add_done_callback(lambda _: self.on_pong())

    async def close(self, code, reason):
        await self.socket.close(code, reason)

    def abort(self):
        self.socket.transport.abort()


async def refusal(_path, _headers):
    return http.HTTPStatus.UNAUTHORIZED, [("WWW-Authenticate", "Bearer")], b"Who are you?"


def settings(subprotocols, compression, max_size):
    return {
        # An empty list would become an empty header, which RFC 6455 section 4.1 does not allow.
        "subprotocols": subprotocols or None,
        "compression": "deflate" if compression else None,
        "max_size": max_size,
    }


class Peer(led.Peer):
    server = None

    async def open(self, url, subprotocols=None, compression=False, max_size=2**21, origin=None, headers=None):
        try:
            options = settings(subprotocols, compression, max_size)
            return Link(await connect(url, origin=origin, extra_headers=headers, **options))
        except InvalidStatusCode as error:
            raise led.Refused(error.status_code)

    async def listen(self, subprotocols=None, compression=False, max_size=2**21, refuse=False):
        async def handle(socket):
            link = Link(socket)
            await self.accepted.put(link)
            await link.ended

        await self.stop()
        process_request = refusal if refuse else None
        options = settings(subprotocols, compression, max_size)
        self.server = await serve(handle, "127.0.0.1", 0, process_request=process_request, **options)
        return self.server.sockets[0].getsockname()[1]

    async def stop(self):
        if self.server is not None:
            self.server.close()
            await self.server.wait_closed()


led.run(Peer)
