"""python3-wsproto as a peer: it has no I/O of its own, so bytes are carried by asyncio's streams."""

import asyncio
import urllib.parse

import led
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason


class Link(led.Link):
    def __init__(self, reader, writer, connection_type):
        super().__init__()
        self.reader = reader
        self.writer = writer
        self.ws = WSConnection(connection_type)
        self.opened = asyncio.get_running_loop().create_future()
        self.parts = []
        self.task = asyncio.create_task(self.receive())

    def describe(self):
        return self.opened.result()

    async def transmit(self, event):
        self.writer.write(self.ws.send(event))
        await self.writer.drain()

    async def receive(self):
        try:
            while data := await self.reader.read(65536):
                self.ws.receive_data(data)
                for event in self.ws.events():
                    await self.handle(event)
        except ConnectionError:
            pass
        finally:
            self.on_end(1006)
            self.writer.close()

    async def handle(self, event):
        if isinstance(event, (TextMessage, BytesMessage)):
            self.parts.append(event.data)
            if event.message_finished:
                self.on_message(("" if isinstance(event, TextMessage) else b"").join(self.parts))
                self.parts = []
        elif isinstance(event, Ping):
            await self.transmit(event.response())
        elif isinstance(event, Pong):
            self.on_pong()
        elif isinstance(event, CloseConnection):
            # In the state OPEN it is wsproto itself that cannot go on.
            if self.ws.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
                await self.transmit(event.response())
            # An empty Close frame is 1005 for it too.
            self.on_end(int(event.code), event.reason or "")
            if not self.ws.client:
                self.writer.close()
        elif isinstance(event, AcceptConnection):
            self.opened.set_result((event.subprotocol, [extension.name for extension in event.extensions]))
        elif isinstance(event, RejectConnection):
            self.opened.set_exception(led.Refused(event.status_code))
        elif isinstance(event, Request):
            await self.on_request(event)

    async def on_request(self, event):
        raise NotImplementedError

    async def send(self, message):
        await self.transmit((TextMessage if isinstance(message, str) else BytesMessage)(data=message))

    async def send_fragments(self, fragments):
        event = TextMessage if isinstance(fragments[0], str) else BytesMessage
        for index, fragment in enumerate(fragments):
            await self.transmit(event(data=fragment, message_finished=index == len(fragments) - 1))
            if index == 0:
                await self.ping()

    async def ping(self):
        await self.transmit(Ping(payload=b"ping of wsproto"))

    async def close(self, code, reason):
        code = CloseReason.NO_STATUS_RCVD if code is None else code
        await self.transmit(CloseConnection(code=code, reason=reason or None))

    def abort(self):
        self.writer.transport.abort()


class ServerLink(Link):
    def __init__(self, reader, writer, subprotocols, compression, refuse):
        super().__init__(reader, writer, ConnectionType.SERVER)
        self.subprotocols = subprotocols
        self.compression = compression
        self.refuse = refuse

    async def on_request(self, event):
        if self.refuse:
            headers = [(b"WWW-Authenticate", b"Bearer"), (b"Content-Length", b"12")]
            await self.transmit(RejectConnection(status_code=401, headers=headers, has_body=True))
            await self.transmit(RejectData(data=b"Who are you?"))
            self.writer.close()
            return
        chosen = next((name for name in event.subprotocols if name in self.subprotocols), None)
        deflate = PerMessageDeflate()
        extensions = [deflate] if self.compression else []
        await self.transmit(AcceptConnection(subprotocol=chosen, extensions=extensions))
        self.opened.set_result((chosen, [deflate.name] if deflate.enabled() else []))


class Peer(led.Peer):
    server = None

    async def open(self, url, subprotocols=(), compression=False, max_size=None, origin=None, headers=None):
        parts = urllib.parse.urlsplit(url)
        link = Link(*await asyncio.open_connection(parts.hostname, parts.port), ConnectionType.CLIENT)
        extra = [*(headers or {}).items(), *([("Origin", origin)] if origin is not None else [])]
        await link.transmit(
            Request(
                host=parts.netloc,
                target=parts.path,
                subprotocols=list(subprotocols),
                extensions=[PerMessageDeflate()] if compression else [],
                extra_headers=[(name.encode(), value.encode()) for name, value in extra],
            )
        )
        await link.opened
        return link

    async def listen(self, subprotocols=(), compression=False, max_size=None, refuse=False):
        async def handle(reader, writer):
            link = ServerLink(reader, writer, subprotocols, compression, refuse)
            if not refuse:
                await link.opened
                await self.accepted.put(link)

        await self.stop()
        self.server = await asyncio.start_server(handle, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def stop(self):
        if self.server is not None:
            self.server.close()


led.run(Peer)
