"""python3-websocket (websocket-client) as a peer: a client alone, and one that blocks, so that a thread reads."""

import asyncio
import socket
import struct
import threading

import led
import websocket
from websocket import ABNF


class Link(led.Link):
    def __init__(self, ws):
        super().__init__()
        self.ws = ws
        self.loop = asyncio.get_running_loop()
        threading.Thread(target=self.receive, daemon=True).start()

    def describe(self):
        return self.ws.getsubprotocol(), []

    def tell(self, *call):
        self.loop.call_soon_threadsafe(*call)

    def receive(self):
        try:
            while True:
                opcode, data = self.ws.recv_data(control_frame=True)
                if opcode == ABNF.OPCODE_TEXT:
                    self.tell(self.on_message, data.decode())
                elif opcode == ABNF.OPCODE_BINARY:
                    self.tell(self.on_message, data)
                elif opcode == ABNF.OPCODE_PONG:
                    self.tell(self.on_pong)
                elif opcode == ABNF.OPCODE_CLOSE:
                    code = struct.unpack("!H", data[:2])[0] if data else 1005
                    self.tell(self.on_end, code, data[2:].decode())
                    return
        except (websocket.WebSocketException, OSError):
            self.tell(self.on_end, 1006)
        finally:
            self.ws.shutdown()

    async def send(self, message):
        if isinstance(message, str):
            self.ws.send(message)
        else:
            self.ws.send_binary(message)

    async def send_fragments(self, fragments):
        opcode = ABNF.OPCODE_TEXT if isinstance(fragments[0], str) else ABNF.OPCODE_BINARY
        for index, fragment in enumerate(fragments):
            data = fragment.encode() if isinstance(fragment, str) else fragment
            last = index == len(fragments) - 1
            self.ws.send_frame(ABNF(int(last), 0, 0, 0, opcode if index == 0 else ABNF.OPCODE_CONT, 1, data))
            if index == 0:
                await self.ping()

    async def send_as_text(self, data):
        self.ws.send_frame(ABNF(1, 0, 0, 0, ABNF.OPCODE_TEXT, 1, data))

    async def ping(self):
        self.ws.ping(b"ping of websocket-client")

    async def close(self, code, reason):
        if code is None:
            self.ws.send(b"", ABNF.OPCODE_CLOSE)
        else:
            self.ws.send_close(code, reason.encode())

    def abort(self):
        if self.ws.sock is not None:
            self.ws.sock.shutdown(socket.SHUT_RDWR)


class Peer(led.Peer):
    async def open(self, url, subprotocols=None, compression=False, max_size=None, origin=None, headers=None):
        options = {"origin": origin} if origin is not None else {"suppress_origin": True}
        try:
            ws = await asyncio.to_thread(
                websocket.create_connection,
                url,
                subprotocols=subprotocols or None,
                header=headers or {},
                **options,
            )
        except websocket.WebSocketBadStatusException as error:
            raise led.Refused(error.status_code)
        # Its timeout is for every read too.
        ws.settimeout(None)
        return Link(ws)


led.run(Peer)
