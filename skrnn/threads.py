"""Independent tasks on several threads, each with a workspace of its own."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, get_ident

from threadpoolctl import threadpool_limits

# Multiply-adds below which another thread costs more than it saves.
MIN_FLOPS_PER_THREAD = 2**24


class Threads:
    """Runs a function over a list, on several threads where that pays.

    Each thread works in a workspace of its own, made by `make_workspace`.
    """

    def __init__(self, n_threads, make_workspace):
        self.n_threads = n_threads
        self._make_workspace = make_workspace
        self._workspaces = [make_workspace()]
        self._pool = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None

    @property
    def workspace(self):
        """The workspace of the calling thread."""
        return self._workspaces[0]

    def trim(self):
        """Drop the workspaces of the other threads."""
        del self._workspaces[1:]

    def worthwhile(self, flops, n_tasks):
        """Return how many threads so much work in so many tasks deserves."""
        return min(self.n_threads, n_tasks, int(flops // MIN_FLOPS_PER_THREAD))

    def map(self, function, tasks, flops):
        """Return ``[function(workspace, task) for task in tasks]``."""
        n = self.worthwhile(flops, len(tasks))
        if n < 2:
            return [function(self._workspaces[0], task) for task in tasks]
        while len(self._workspaces) < n:
            self._workspaces.append(self._make_workspace())
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.n_threads)
        results = [None] * len(tasks)
        unclaimed = iter(range(len(tasks)))
        claim = Lock()

        def work(workspace):
            while True:
                with claim:
                    i = next(unclaimed, None)
                if i is None:
                    return
                results[i] = function(workspace, tasks[i])

        others = [self._pool.submit(work, w) for w in self._workspaces[1:n]]
        try:
            work(self._workspaces[0])
        finally:  # also after Ctrl-C: nothing may run on into the next batch
            for other in others:
                other.exception()
        for other in others:
            other.result()
        return results


@contextmanager
def one_blas_thread():
    """Let BLAS compute on one thread: the bits of its results depend on how many.

    The number holds for the whole process. Where several threads are inside, the first
    sets it and the last restores it; OpenBLAS ignores the last one, and BLAS stays at
    one, if the thread that set the number is another one that is still alive.
    """
    _blas.enter()
    try:
        yield
    finally:
        _blas.leave()


class _BlasLimit:
    """The threads inside `one_blas_thread`, and what to restore after them."""

    def __init__(self):
        self._lock = Lock()
        self._inside = Counter()  # how often each thread is
        self._limits = None

    def enter(self):
        with self._lock:
            if not self._inside:
                self._limits = threadpool_limits(1, "blas")
            self._inside[get_ident()] += 1

    def leave(self):
        with self._lock:
            self._inside -= Counter([get_ident()])  # which drops zeros
            self._restore_after_last()

    def after_fork(self):
        """Forget the other threads, of which a child process has none."""
        self._lock = Lock()  # one of them may have held it
        self._inside &= Counter({get_ident(): self._inside[get_ident()]})
        self._restore_after_last()

    def _restore_after_last(self):
        if not self._inside and self._limits is not None:
            self._limits.restore_original_limits()
            self._limits = None


_blas = _BlasLimit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_blas.after_fork)
