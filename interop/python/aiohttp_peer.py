"""python3-aiohttp as a peer."""

import asyncio

import led
from aiohttp import ClientSession, ClientTimeout, WSMsgType, WSServerHandshakeError, web


class Link(led.Link):
    def __init__(self, socket, transport, extensions):
        super().__init__()
        self.socket = socket
        self.transport = transport
        self.extensions = extensions
        self.reader = asyncio.create_task(self.receive())

    def describe(self):
        return self.socket_protocol(), self.extensions

    def socket_protocol(self):
        # Its two sides have two names for it.
        names = ("ws_protocol", "protocol")
        return next(getattr(self.socket, name) for name in names if hasattr(self.socket, name))

    async def receive(self):
        while True:
            message = await self.socket.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self.on_message(message.data)
            elif message.type is WSMsgType.PING:
                await self.socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self.on_pong()
            elif message.type is WSMsgType.CLOSE:
                # It answers by itself; an empty Close frame is code 0 here.
                return self.on_end(message.data or 1005, message.extra or "")
            else:
                return self.on_end(self.socket.close_code)

    async def send(self, message):
        await (self.socket.send_str if isinstance(message, str) else self.socket.send_bytes)(message)

    async def ping(self):
        await self.socket.ping(b"ping of aiohttp")

    async def close(self, code, reason):
        # Beside a task that reads, it would not wait for the answer.
        self.reader.cancel()
        await asyncio.wait([self.reader])
        await self.socket.close(code=code, message=reason.encode())
        self.on_end(self.socket.close_code)

    def abort(self):
        self.transport.abort()


class Peer(led.Peer):
    session = None
    runner = None

    async def open(self, url, subprotocols=(), compression=False, max_size=2**21, origin=None, headers=None):
        if self.session is None:
            self.session = ClientSession(timeout=ClientTimeout(total=20))
        try:
            socket = await self.session.ws_connect(
                url,
                protocols=subprotocols,
                compress=15 if compression else 0,
                max_msg_size=max_size,
                origin=origin,
                headers=headers,
                # Else it keeps pongs to itself.
                autoping=False,
            )
        except WSServerHandshakeError as error:
            raise led.Refused(error.status)
        extensions = ["permessage-deflate"] if socket.compress else []
        return Link(socket, socket._response.connection.transport, extensions)

    async def listen(self, subprotocols=(), compression=False, max_size=2**21, refuse=False):
        async def handle(request):
            if refuse:
                raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"}, text="Who are you?")
            socket = web.WebSocketResponse(
                protocols=subprotocols, compress=compression, max_msg_size=max_size, autoping=False
            )
            await socket.prepare(request)
            link = Link(socket, request.transport, ["permessage-deflate"] if socket.compress else [])
            await self.accepted.put(link)
            await link.ended
            return socket

        await self.stop_server()
        app = web.Application()
        app.router.add_get("/", handle)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, shutdown_timeout=1)
        await site.start()
        return self.runner.addresses[0][1]

    async def stop_server(self):
        if self.runner is not None:
            await self.runner.cleanup()

    async def stop(self):
        await self.stop_server()
        if self.session is not None:
            await self.session.close()


led.run(Peer)
