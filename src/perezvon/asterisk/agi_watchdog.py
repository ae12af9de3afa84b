"""A thread that ends calls which have waited too long for our event loop or for a script: it must not depend on either.

It only shuts sockets down, which sends the caller on in the dialplan; the loop cleans up when it comes round again.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence

from perezvon.asterisk.agi_wire import Wire

TICK = 0.2
"""Seconds between two looks."""

Waiting = Callable[[], Sequence[tuple[Wire, asyncio.Task[None]]]]


class Watchdog:
    """`lag`: seconds, see `Patience`. `waiting` is called in this thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: socket.socket, waiting: Waiting, lag: float) -> None:
        self._loop = loop
        self._listener = listener
        self._waiting = waiting
        self._lag = lag
        self._beat = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="agi-watchdog", daemon=True)

    def start(self) -> None:
        self._beats()
        self._thread.start()

    def stop(self) -> None:
        """Waits for the thread to end."""
        self._stopped.set()
        self._thread.join()

    def _beats(self) -> None:
        self._beat = time.monotonic()
        if not self._stopped.is_set():
            self._loop.call_later(TICK, self._beats)

    def _watch(self) -> None:
        while not self._stopped.wait(TICK):
            now = time.monotonic()
            stuck = now - self._beat > self._lag
            for wire, task in self._waiting():
                since = wire.ours_since
                if wire.cut:
                    continue
                if since is not None and now - since > wire.thinking:
                    self._cut(wire, task, f"the script kept the caller waiting for {now - since:.1f} s")
                elif stuck and _has_said_something(wire):
                    self._cut(wire, task, f"the service stood still for {now - self._beat:.1f} s")
            if stuck:
                self._send_on_arrivals()

    def _cut(self, wire: Wire, task: asyncio.Task[None], why: str) -> None:
        wire.cut = why
        with contextlib.suppress(OSError):  # the caller may be gone already
            if (sock := _socket(wire)) is not None:
                sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(RuntimeError):  # the loop may be closed
            self._loop.call_soon_threadsafe(task.cancel)

    def _send_on_arrivals(self) -> None:
        """Those whom the loop has not even let in."""
        with contextlib.suppress(OSError):
            while True:
                arrival, _ = self._listener.accept()
                arrival.close()


def _socket(wire: Wire) -> socket.socket | None:
    return None if wire.transport is None else wire.transport.get_extra_info("socket")


def _has_said_something(wire: Wire) -> bool:
    """Asterisk has answered, and the loop has not read it."""
    sock = _socket(wire)
    if sock is None or sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
