"""Independent tasks on several threads, each with a workspace of its own."""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

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
