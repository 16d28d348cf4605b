"""Processes of a distributed training as threads, so that a test can have many at little cost."""

import threading
from concurrent.futures import ThreadPoolExecutor


class Meeting:
    """Where threads meet."""

    def __init__(self, size):
        self.size = size
        self.barrier = threading.Barrier(size, timeout=60)
        self.values = [None] * size


class ThreadComm:
    """What `Shards` uses of a communicator of mpi4py, for one of several threads."""

    def __init__(self, meeting, rank):
        self.meeting, self.rank, self.size = meeting, rank, meeting.size

    def allgather(self, value):
        self.meeting.values[self.rank] = value
        self.meeting.barrier.wait()
        values = list(self.meeting.values)
        self.meeting.barrier.wait()
        return values

    def Sendrecv(self, sent, dest, recvbuf, source):
        assert dest == source
        recvbuf[:] = self.allgather(sent.copy())[source]


def run(size, function):
    """What a function of a communicator returns in each of several threads."""
    meeting = Meeting(size)

    def call(rank):
        try:
            return function(ThreadComm(meeting, rank))
        except BaseException:
            meeting.barrier.abort()  # as mpi4py's runner ends all
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(call, rank) for rank in range(size)]
        errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None and not isinstance(error, threading.BrokenBarrierError):
            raise error
    return [future.result() for future in futures]
