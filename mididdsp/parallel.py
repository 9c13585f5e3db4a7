"""Streams computed ahead by a few threads, each stream in its own order.

One thread per core and one intra-op thread in each: more threads inside a matrix product cost far more than they gain.
Each stream is advanced by one thread at a time and never shares state with another, so what it yields cannot depend on
how many threads there are.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

Item = TypeVar("Item")

AHEAD = 2
"""Items each stream may be ahead of its reader: the threads stay busy, and memory flat."""


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Torch uses one intra-op thread inside the block; what was set before comes back after it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _one_thread_here() -> None:
    import torch

    torch.set_num_threads(1)


class _Ahead(Generic[Item]):
    """One stream, computed up to ``AHEAD`` items before they are asked for."""

    def __init__(self, stream: Iterable[Item], pool: ThreadPoolExecutor) -> None:
        self._stream = iter(stream)
        self._pool = pool
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._ended = False
        self._running: Future[None] | None = None
        with self._changed:
            self._start()

    def _start(self) -> None:
        """Hand the next step to the pool unless one runs; the lock is held."""
        if self._running is None and not self._ended and len(self._items) < AHEAD:
            self._running = self._pool.submit(self._step)

    def _step(self) -> None:
        items: list[Item] = []
        error: BaseException | None = None
        ended = False
        try:
            items.append(next(self._stream))
        except StopIteration:
            ended = True
        except BaseException as caught:  # handed to the reader, whatever it is
            error, ended = caught, True
        with self._changed:
            self._items.extend(items)
            self._error, self._ended, self._running = error, ended, None
            try:
                self._start()
            except RuntimeError:  # the pool was shut down while this step ran: nobody reads any more
                self._ended = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        with self._changed:
            while not self._items and not self._ended:
                self._changed.wait()
            if self._items:
                item = self._items.popleft()
                self._start()
                return item
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            raise StopIteration


@contextmanager
def computed_ahead(streams: Sequence[Iterable[Item]], workers: int) -> Iterator[list[Iterator[Item]]]:
    """The same streams, computed ahead by ``workers`` threads; with one, computed when asked for.

    Leaving the block ends the threads after the step each is in. An exception in a stream is raised to its reader.

    Args:
        streams: that share no state.
        workers: threads, >= 1.
    """
    with one_torch_thread():
        if workers <= 1 or not streams:
            yield [iter(stream) for stream in streams]
            return
        pool = ThreadPoolExecutor(workers, thread_name_prefix="mididdsp", initializer=_one_thread_here)
        try:
            yield [_Ahead(stream, pool) for stream in streams]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
