"""Streams computed ahead of their reader, side by side on the cores there are.

Each stream is advanced in its own order by one worker alone and shares nothing with another, so what it yields does not
depend on how many workers there are. Workers are this process and forked copies of it: threads of one process gain
little (1.1x on two cores, against 1.8x), for the generators' small steps hold Python's lock. Where a process may not be
forked the workers are threads; the result is the same.

Every worker uses one intra-op thread of torch: more threads inside a small matrix product cost far more than they gain.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from queue import Queue
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

_Message = tuple[int, Any, BaseException | None, bool]
"""From a copy: number of the stream, item, error, and whether the stream goes on."""

AHEAD = 6
"""Items each stream may be ahead of its reader: enough to even out dear and cheap stretches, and memory stays flat."""


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_seconds() -> float:
    """Processor time of this process and of the copies of it that have ended, s."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Torch and the matrix library of NumPy use one thread inside the block; what was set before comes back after it.

    Two threads in products as small as these cost twice the processor time and gain nothing.
    """
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


def may_fork() -> bool:
    """Whether this process can be copied: on Linux, with no thread whose locks a copy would inherit, without CUDA."""
    import torch

    on_gpu: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return sys.platform == "linux" and threading.active_count() == 1 and not on_gpu


@contextmanager
def computed_ahead(
    streams: Sequence[Iterable[Item]], workers: int, *, costs: Sequence[float] | None = None, fork: bool = False
) -> Iterator[list[Iterator[Item]]]:
    """The same streams, computed ahead of their readers; with one worker, computed when asked for.

    Leaving the block ends the work after the step that each worker is in. An exception in a stream is raised to its
    reader. All streams are to be read at about the same pace.

    Args:
        streams: that share no state.
        workers: how many to use, >= 1.
        costs: about how much work each stream is, in any unit, so that workers get equal shares.
        fork: whether the streams may be computed in copies of this process, if it can be copied: what they change
            besides yielding is then lost, and their items are pickled.
    """
    with one_torch_thread(), ExitStack() as stack:
        if workers <= 1 or not streams:
            yield [iter(stream) for stream in streams]
            return
        groups = [list(range(len(streams)))]
        threads = min(workers, len(streams))
        if fork and may_fork():
            groups = _shares(costs or [1.0] * len(streams), threads)
            threads = 1
        result: dict[int, Iterator[Item]] = {}
        # Copies first: a process with threads may not be forked.
        for group in groups[1:]:
            copy = stack.enter_context(_copied([streams[index] for index in group]))
            result.update(zip(group, copy))
        pool = ThreadPoolExecutor(threads, thread_name_prefix="mididdsp", initializer=_one_thread_here)
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        result.update((index, _Ahead(streams[index], pool)) for index in groups[0])
        yield [result[index] for index in range(len(streams))]


def _shares(costs: Sequence[float], workers: int) -> list[list[int]]:
    """Streams dealt to workers, the dearest first, each to who has least; the first, who reads too, gets least."""
    shares: list[list[int]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    for index in sorted(range(len(costs)), key=lambda index: -costs[index]):
        idlest = min(range(workers - 1, -1, -1), key=lambda worker: loads[worker])
        shares[idlest].append(index)
        loads[idlest] += costs[index]
    order = sorted(range(workers), key=lambda worker: loads[worker])
    return [sorted(shares[worker]) for worker in order]


def _one_thread_here() -> None:
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(limits=1)


class _Ahead(Generic[Item]):
    """One stream, computed by a pool up to ``AHEAD`` items before they are asked for."""

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
def _copied(streams: Sequence[Iterable[Item]]) -> Iterator[list[Iterator[Item]]]:
    """Streams computed in a copy of this process, which sends their items in turns over a pipe."""
    context: Any = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_all, args=(streams, sender, receiver), daemon=True)
    with warnings.catch_warnings():
        # Python warns of the threads that torch keeps for itself; they hold no lock that a copy needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    sender.close()
    try:
        yield list(_Received.from_pipe(receiver, len(streams)))
    finally:
        receiver.close()
        process.terminate()
        process.join()


def _send_all(streams: Sequence[Iterable[Item]], sender: Connection, receiver: Connection) -> None:
    """In the copy: send the items, stream by stream in turns, to the end."""
    receiver.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the reader tells its copies to end
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _one_thread_here()
    waiting: Queue[_Message | None] = Queue(AHEAD * len(streams))

    def send() -> None:
        with suppress(BrokenPipeError):  # the reader has gone, and ends this process
            while (message := waiting.get()) is not None:
                sender.send(message)

    postman = threading.Thread(target=send)
    postman.start()
    going = {number: iter(stream) for number, stream in enumerate(streams)}
    while going:
        for number, stream in list(going.items()):
            message: _Message
            try:
                message = (number, next(stream), None, True)
            except StopIteration:
                message = (number, None, None, False)
            except BaseException as error:  # handed to the reader, whatever it is
                message = (number, None, error, False)
            if not message[3]:
                del going[number]
            waiting.put(message)
    waiting.put(None)
    postman.join()


class _Received(Generic[Item]):
    """One of the streams that arrive over a pipe; the others' items wait until they are asked for."""

    def __init__(self, pipe: Connection, number: int, all_streams: list[_Received[Item]]) -> None:
        self._pipe = pipe
        self._number = number
        self._all = all_streams
        self._items: deque[Item] = deque()
        self._error: BaseException | None = None
        self._ended = False

    @classmethod
    def from_pipe(cls, pipe: Connection, count: int) -> list[_Received[Item]]:
        """All streams of a pipe."""
        result: list[_Received[Item]] = []
        result.extend(cls(pipe, number, result) for number in range(count))
        return result

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        while not self._items and not self._ended:
            try:
                number, item, error, goes_on = self._pipe.recv()
            except EOFError:
                raise RuntimeError(
                    "a worker process ended before its work was done; there may not be enough memory"
                ) from None
            stream = self._all[number]
            if goes_on:
                stream._items.append(item)
            else:
                stream._error, stream._ended = error, True
        if self._items:
            return self._items.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration
