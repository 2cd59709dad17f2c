"""Tasks on several threads: order, workspaces, and exceptions that surface."""

import threading

import numpy  # noqa: F401 - brings a BLAS
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skrnn.threads import (
    MIN_FLOPS_PER_THREAD,
    Threads,
    _BlasLimit,
    one_blas_thread,
)

TIMEOUT = 60.0  # of what would otherwise hang


@pytest.fixture
def always_threads(monkeypatch):
    monkeypatch.setattr("skrnn.threads.MIN_FLOPS_PER_THREAD", 1)


def meet(barrier):
    """Wait until two threads are at work, so that both have a task."""
    barrier.wait(TIMEOUT)


def test_results_come_in_the_order_of_the_tasks(always_threads):
    for n_threads in (1, 3):
        with Threads(n_threads, lambda: None) as threads:
            squares = threads.map(lambda _, task: task**2, range(50), 1e9)
        assert squares == [task**2 for task in range(50)]


def test_every_thread_has_a_workspace_of_its_own(always_threads):
    barrier, seen = threading.Barrier(2), {}

    def work(workspace, task):
        meet(barrier)
        seen.setdefault(threading.get_ident(), set()).add(id(workspace))

    with Threads(2, object) as threads:
        threads.map(work, range(4), 1e9)
    assert len(seen) == 2
    assert all(len(workspaces) == 1 for workspaces in seen.values())
    assert len(set.union(*seen.values())) == 2


def test_threads_are_entered_again(always_threads):
    """As they are where predictors are kept: the workspaces stay, the pool does not."""
    barrier, made = threading.Barrier(2), []

    def work(workspace, task):
        meet(barrier)
        return workspace, threading.get_ident()

    threads = Threads(2, lambda: made.append(object()) or made[-1])
    n_alive, rounds = threading.active_count(), []
    for _ in range(3):
        with threads as entered:
            assert entered is threads
            rounds.append(threads.map(work, range(2), 1e9))
        assert threading.active_count() == n_alive
    assert len(made) == 2
    assert all({workspace for workspace, _ in round} == set(made) for round in rounds)
    # one of the two is the calling thread's, each time the first workspace
    main = {dict((i, w) for w, i in round)[threading.get_ident()] for round in rounds}
    assert main == {threads.workspace} == {made[0]}


def test_another_number_of_threads_from_now_on(always_threads):
    made = []
    threads = Threads(1, lambda: made.append(object()) or made[-1])
    for n_threads in (1, 3, 2, 4):
        threads.n_threads = n_threads
        barrier = threading.Barrier(n_threads)

        def work(workspace, task, barrier=barrier):
            meet(barrier)
            return workspace

        with threads:
            workspaces = threads.map(work, range(n_threads), 1e9)
        assert len(set(workspaces)) == n_threads
    assert len(made) == 4


def test_an_exception_leaves_threads_that_can_be_entered_again(always_threads):
    def fail(workspace, task):
        raise ValueError("on purpose")

    threads = Threads(3, object)
    for _ in range(2):
        with pytest.raises(ValueError, match="on purpose"), threads:
            threads.map(fail, range(9), 1e9)
    with threads:
        assert threads.map(lambda _, task: task, range(9), 1e9) == list(range(9))


def test_threads_are_worthwhile_where_there_is_work_for_each():
    threads = Threads(4, object)
    enough = 4 * MIN_FLOPS_PER_THREAD
    assert threads.worthwhile(enough, 100) == 4
    assert threads.worthwhile(enough, 3) == 3
    assert threads.worthwhile(enough - 1, 100) == 3
    assert threads.worthwhile(0, 100) < 2
    threads.n_threads = 1
    assert threads.worthwhile(100 * enough, 100) == 1


def test_little_work_stays_in_the_calling_thread():
    with Threads(4, lambda: None) as threads:
        idents = threads.map(lambda _, task: threading.get_ident(), range(8), 1000)
    assert set(idents) == {threading.get_ident()}


@pytest.mark.parametrize("exception", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["worker", "main"])
def test_an_exception_of_any_thread_surfaces(place, exception, always_threads):
    barrier, done = threading.Barrier(2), []

    def work(_, task):
        if task < 2:
            meet(barrier)
            is_main = threading.current_thread() is threading.main_thread()
            if is_main == (place == "main"):
                raise exception("on purpose")
        done.append(task)

    with Threads(2, lambda: None) as threads:
        with pytest.raises(exception, match="on purpose"):
            threads.map(work, range(20), 1e9)
        # the other thread is at rest before the exception is seen
        assert sorted(done)[1:] == list(range(2, 20))
        assert threads.map(lambda _, task: task, range(3), 1e9) == [0, 1, 2]


def blas_threads():
    """Return how many threads each BLAS library has."""
    return [
        (library["filepath"], library["num_threads"])
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]


@pytest.fixture
def several_blas_threads():
    with threadpool_limits(3, "blas"):
        if all_at_one():
            pytest.skip("there is no BLAS whose threads could be set")
        yield blas_threads()


def all_at_one():
    return all(n == 1 for _, n in blas_threads())


def test_blas_has_its_threads_again(several_blas_threads):
    with pytest.raises(KeyError), one_blas_thread():
        with one_blas_thread():
            assert all_at_one()
        assert all_at_one()
        raise KeyError
    assert blas_threads() == several_blas_threads


def test_blas_stays_at_one_until_the_last_thread_leaves(several_blas_threads):
    """The first to enter is the first to leave, while the other is inside."""
    second_in, first_out, seen = threading.Event(), threading.Event(), []

    def second():
        with one_blas_thread():
            second_in.set()
            first_out.wait(TIMEOUT)
            seen.append(all_at_one())

    thread = threading.Thread(target=second)
    with one_blas_thread():
        thread.start()
        assert second_in.wait(TIMEOUT)
    first_out.set()
    thread.join(TIMEOUT)
    assert seen == [True]


def test_a_child_process_knows_its_own_threads_only(several_blas_threads):
    """`after_fork` is what runs in it: only the calling thread is there."""
    limit, done = _BlasLimit(), []
    others = threading.Thread(target=lambda: done.append(limit.enter()))
    limit.enter()
    others.start()
    others.join(TIMEOUT)
    limit.after_fork()
    assert done and all_at_one()
    limit.leave()
    assert blas_threads() == several_blas_threads
