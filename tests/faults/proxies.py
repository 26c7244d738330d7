"""A small HTTP proxy on the loopback: whatever the name, it leads to one port of this machine."""

import contextlib
import re
import socket
import threading

from faults.servers import LeftError, Server


class Proxy(Server):
    """Passes requests on, and keeps the head of each; wants `authorization` when it is given.

    With an `answer` it says only that.
    """

    def __init__(self, to=None, *, authorization=None, answer=None):
        self.heads = []
        self._to = to
        self._authorization = authorization
        self._answer = answer
        super().__init__(self._pass_on)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _pass_on(self, connection):
        client = connection.sock
        head = self._head(client)
        self.heads.append(head)
        if self._answer is not None:
            client.sendall(self._answer)
        elif self._authorization and f"Proxy-Authorization: {self._authorization}" not in head:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        else:
            with socket.create_connection(("127.0.0.1", self._to)) as origin:
                self._lead(client, origin, head)

    def _head(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            if not (byte := client.recv(1)):
                raise LeftError
            head += byte
        return head.decode()

    def _lead(self, client, origin, head):
        if head.startswith("CONNECT "):
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            kept = re.sub(r"Proxy-Authorization: .*\r\n", "", head)
            kept = re.sub(r"^(\w+) http://[^/]+", r"\1 ", kept)
            origin.sendall(kept.encode())
        back = threading.Thread(target=_copy, args=(origin, client), daemon=True)
        back.start()
        _copy(client, origin)
        back.join(10)


def _copy(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(4096):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
