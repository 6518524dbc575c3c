"""A relay between the clients and Redis that counts round trips and bytes, whichever client library, sync or async."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

_CHUNK = 65_536


class Relay:
    """Listens on a port of 127.0.0.1 and passes on to ``target``.

    A round trip begins when a client writes after it was answered: a script is one, a pipeline of up to 64 kB is one.
    All is counted before it is passed on, so that the counts are complete when the client has its answer.
    """

    def __init__(self, target: int) -> None:
        self.trips = self.sent = self.received = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._awaiting: set[socket.socket] = set()
        """Connections of clients that have written and not been answered."""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._is_open = True

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def reset(self) -> None:
        self.trips = self.sent = self.received = 0

    def __enter__(self) -> Self:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        socket.create_connection(self._listener.getsockname()).close()  # wakes the thread up
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def _serve(self) -> None:
        while self._is_open:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._pass_on(key)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._target))
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(client, selectors.EVENT_READ, (client, client, server))
        self._selector.register(server, selectors.EVENT_READ, (client, server, client))

    def _pass_on(self, key: selectors.SelectorKey) -> None:
        client, source, destination = key.data
        try:
            data = source.recv(_CHUNK)
            if data:
                self._count(client, len(data), is_request=source is client)
                destination.sendall(data)
                return
        except OSError:
            pass  # one end is gone: the other one goes too
        self._awaiting.discard(client)
        for end in (source, destination):
            if end.fileno() >= 0:
                self._selector.unregister(end)
                end.close()

    def _count(self, client: socket.socket, size: int, is_request: bool) -> None:
        if is_request:
            self.sent += size
            self.trips += client not in self._awaiting
            self._awaiting.add(client)
        else:
            self.received += size
            self._awaiting.discard(client)
