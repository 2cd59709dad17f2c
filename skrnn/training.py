"""Training by minibatches, shards and threads: one epoch at a time.

A minibatch is cut into shards, as many sequences as the lanes take. Runs of consecutive
shards share a slot: a gradient of their own that is added up in the order of the slots.
Which thread works on which slot changes nothing, so the same numbers come out, bit for
bit, for any number of threads. Where the work is small, one thread goes through many
minibatches in one call.
"""

import math
from dataclasses import dataclass

import numpy as np

from skrnn._jit import kernel
from skrnn.batches import draw_batches
from skrnn.blocks import blocks_of
from skrnn.lanes import training_lanes
from skrnn.network import (
    PackedParameters,
    Samples,
    TrainingWorkspace,
    load,
    load_targets,
    measure_labels,
)
from skrnn.optimizers import combine, leave_out
from skrnn.parameters import aligned_zeros
from skrnn.recording import Recording, replay, run
from skrnn.threads import Threads

MAX_SLOTS = 16
_NO_LABELS = np.zeros(0, np.int64)

# Of minibatches that are gathered at a time: what they hold, and how many multiply-adds
# they take, so that Ctrl-C is heard.
CHUNK_BYTES = 2**20
CHUNK_FLOPS = 10**9


class Divergence(ArithmeticError):
    """The loss or the gradient is no longer finite."""


@dataclass(frozen=True)
class TrainingSet:
    """What is learned from: samples, the rows that count, targets and weights.

    Attributes
    ----------
    data : PaddedData or Sequences
    rows : ndarray of shape (n_rows,)
        The samples that take part, each once.
    targets, weights : PaddedData or Sequences
        Of each sample, or of each of its steps: `n_targets` channels, and one.
    sample_weights : ndarray of float64 of shape (n_samples,)
        The sum of the weights of each sample.
    mean, inverse_scale : ndarray of shape (n_channels,)
        How channels are standardized.
    """

    data: object
    rows: np.ndarray
    targets: object
    weights: object
    sample_weights: np.ndarray
    mean: np.ndarray
    inverse_scale: np.ndarray


class Trainer:
    """Minimizes a loss over minibatches.

    Parameters
    ----------
    network : Network
    parameters : ndarray of shape (n_parameters,)
        Flat vector, updated in place.
    training_set : TrainingSet
    loss : callable or Objective
        Of `skrnn.losses`.
    levels : ndarray
        Parameters of the loss.
    optimizer : Optimizer
    schedule : Schedule
    alpha : float
        L2 penalty, divided by a batch's sum of weights.
    max_grad_norm : float
        Largest norm of the gradient, 0 for none.
    batch_size : int
    n_threads : int
    frozen : ndarray of bool of shape (n_parameters,), default=None
        Which parameters stay as they are.
    adversarial_eps : float, default=0.0
        How far inputs are moved to raise the loss, see `TrainingWorkspace`.
    feedback : ndarray of shape (1,), default=None
        The share of targets that the network reads which give way to its predictions:
        it may change between epochs, see `TrainingWorkspace`.
    """

    _max_slots: float = MAX_SLOTS

    def __init__(
        self,
        network,
        parameters,
        training_set,
        loss,
        levels,
        optimizer,
        schedule,
        alpha,
        max_grad_norm,
        batch_size,
        n_threads,
        frozen=None,
        adversarial_eps=0.0,
        feedback=None,
    ):
        self.network = network
        self.parameters = parameters
        self.training_set = training_set
        self.loss = loss
        self.levels = levels
        self.optimizer = optimizer
        self.schedule = schedule
        self.alpha = alpha
        self.batch_size = batch_size
        self.n_threads = n_threads
        self._frozen = frozen
        self._adversarial_eps = adversarial_eps
        self._feedback = feedback
        dtype = parameters.dtype
        lengths = training_set.data.lengths[training_set.rows]
        self._n_steps = int(lengths.max())  # of the buffers
        self._lanes = self._choose_lanes(lengths)
        self._n_batches_seen = 0
        schedule.begin(-(-len(training_set.rows) // self.batch_size))
        self._packed = PackedParameters(network, parameters, self._lanes, training=True)
        n_shards = -(-self.batch_size // self._lanes.n_samples)
        n_slots = min(n_shards, self._max_slots)
        self._slots = aligned_zeros((n_slots, parameters.size), dtype)
        # what the recorded update reads and writes beside the slots
        self._n_slots = np.array([n_slots], dtype=np.int64)
        self._limits = np.array([0.0, max_grad_norm])
        # of the epoch's random numbers, and of the first shard at hand
        self._noise_key = np.zeros(2, np.int64)
        self._found = np.zeros(2)
        self._calls = self._record_update()
        self._update = self._calls.program()

    def _choose_lanes(self, lengths):
        flops = 3 * self.network.flops(int(self.batch_size * lengths.mean()))
        return training_lanes(
            self.parameters.dtype, self.batch_size, flops, self.network.takes_pairs
        )

    def _record_update(self):
        """Record what turns the slots into new parameters, ready for use."""
        calls = Recording()
        gradient = np.zeros_like(self._slots[0])
        penalized = self.network.layout.penalized(gradient.dtype, self._frozen)
        if self._frozen is not None:
            calls.add(leave_out, self._slots, self._n_slots, self._frozen)
        calls.add(
            combine,
            self._slots,
            self._n_slots,
            self.parameters,
            penalized,
            self._limits,
            gradient,
            self._found,
        )
        self.optimizer.record(calls, self.parameters, gradient)
        calls.extend(self._packed.calls)
        return calls

    def threads(self):
        """Return the `Threads` for epochs."""
        return Threads(self.n_threads, self._make_workspace)

    def _make_workspace(self):
        targets, n_label_steps = self.training_set.targets, 0
        if self.network.turns or getattr(self.loss, "labels_apart", False):
            n_label_steps = int(targets.lengths[self.training_set.rows].max())
        return TrainingWorkspace(
            self.network,
            self._packed,
            self._n_steps,
            targets.n_channels,
            self.loss,
            self.levels,
            adversarial_eps=self._adversarial_eps,
            n_label_steps=n_label_steps,
            feedback=self._feedback,
        )

    def _workspace(self, own, slot):
        """Return the workspace in which a slot is filled: the thread's own."""
        return own

    def epoch(self, threads, random_state, shuffle, n_samples_seen):
        """Pass once over the rows, with `shuffle` in a new order; return the mean loss.

        Raises `Divergence` when a loss or gradient is not finite.
        """
        training_set = self.training_set
        lengths, weights = training_set.data.lengths, training_set.sample_weights
        costs = lengths
        if self.network.turns:  # of like cost, not of like length, shall be a shard
            costs = self.network.flops(lengths, training_set.targets.lengths)
        batches = draw_batches(
            training_set.rows,
            costs,
            self.batch_size,
            self._lanes.n_samples,
            random_state if shuffle else None,
        )
        if self.network.is_noisy or self._feedback is not None:
            self._noise_key[0] = random_state.randint(2**31)
        steps, weight_sums = batches.sums(lengths), batches.sums(weights)
        sizes = np.diff(batches.shards[batches.batches])
        seen = n_samples_seen + np.cumsum(sizes) - sizes
        rates = [
            self.schedule.rate(self._n_batches_seen + b, n)
            for b, n in enumerate(seen.tolist())
        ]
        self._n_batches_seen += len(rates)
        step_bytes = self.parameters.itemsize * training_set.data.n_channels
        step_flops = 3 * self.network.flops(1)
        max_steps = min(CHUNK_BYTES // step_bytes, CHUNK_FLOPS // step_flops)
        losses = np.full(len(steps), np.nan)
        self._packed.refresh()
        for piece in blocks_of(steps, 1, max_steps):
            part = batches.part(piece.start, piece.stop)
            self._noise_key[1] = batches.batches[piece.start]
            part_rates = np.array(rates[piece])
            self._train_on(threads, part, part_rates, weight_sums[piece], losses[piece])
        # the last update may have overflowed, or left moments that stop all others
        for array in (self.parameters, self.optimizer.first, self.optimizer.second):
            if not np.isfinite(array).all():
                raise Divergence
        return float(losses @ weight_sums / weight_sums.sum())

    def _train_on(self, threads, batches, rates, weight_sums, losses):
        """Update the parameters by each minibatch at its rate; fill in their losses."""
        training_set = self.training_set
        samples = Samples.take(
            training_set.data,
            batches.rows,
            self.parameters.dtype,
            training_set.targets,
            training_set.weights,
        )
        flops = 3 * self.network.flops(len(samples.values)) // len(rates)
        several = threads.worthwhile(flops, len(self._slots)) > 1
        work = self._on_threads if several else self._on_one_thread
        work(threads, samples, batches, rates, weight_sums, losses)
        if not np.isfinite(losses).all():
            raise Divergence

    def _on_one_thread(self, threads, samples, batches, rates, weight_sums, losses):
        """Do it all in one call."""
        _train_on_batches(
            *self._arguments(self._workspace(threads.workspace, 0), samples),
            batches.shards,
            batches.batches,
            self._slots,
            self._n_slots,
            self._update,
            self.alpha,
            rates,
            weight_sums,
            self.optimizer.rates,
            self._limits,
            self._found,
            losses,
        )

    def _on_threads(self, threads, samples, batches, rates, weight_sums, losses):
        """Share out the slots of each minibatch."""
        flops = 3 * self.network.flops(len(samples.values)) // len(rates)
        for b, (rate, weight_sum) in enumerate(zip(rates, weight_sums, strict=True)):
            first, last = batches.batches[b : b + 2]
            n_slots = min(last - first, len(self._slots))
            bounds = (
                first
                + (last - first) * np.arange(n_slots + 1, dtype=np.int64) // n_slots
            )

            def train(workspace, s, bounds=bounds, weight_sum=weight_sum):
                return _train_on_shards(
                    *self._arguments(self._workspace(workspace, s), samples),
                    batches.shards,
                    bounds[s],
                    bounds[s + 1],
                    1.0 / weight_sum,
                    self._slots[s],
                )

            loss = sum(threads.map(train, range(n_slots), flops))
            self._n_slots[0] = n_slots
            self.optimizer.rates[0] = rate
            self._limits[0] = self.alpha / weight_sum
            run(self._update)
            losses[b] = loss + self._found[1]
            if not math.isfinite(losses[b]):
                return

    def _arguments(self, workspace, samples):
        """Return what `_train_on_shards` needs of a workspace and of samples."""
        labels = workspace.shard.labels
        return (
            workspace.program,
            workspace.carry,
            samples.values,
            samples.starts,
            samples.lengths,
            samples.targets,
            samples.weights,
            samples.target_starts,
            samples.target_lengths,
            self.training_set.mean,
            self.training_set.inverse_scale,
            workspace.x,
            workspace.shard.lengths,
            workspace.shard.n_steps,
            labels.lengths if labels else _NO_LABELS,
            workspace.targets.n_steps,
            workspace.shard.noise,
            self._noise_key,
            workspace.target,
            workspace.weight,
            workspace.gradient,
        )


@kernel
def _train_on_shards(
    program,
    carry,
    values,
    starts,
    lengths,
    targets,
    weights,
    target_starts,
    target_lengths,
    mean,
    inverse_scale,
    x,
    held,
    n_steps,
    n_labels,
    n_target_steps,
    noise,
    noise_key,
    target,
    weight,
    gradient,
    shards,
    first,
    last,
    scale,
    slot,
):
    """Fill a slot with the gradient of some shards; return their share of the loss."""
    for i in range(len(gradient)):
        gradient[i] = 0.0
    loss = 0.0
    for s in range(first, last):
        begin, end = shards[s], shards[s + 1]
        load(values, starts, lengths, mean, inverse_scale, begin, end, x, held, n_steps)
        if len(n_labels):
            measure_labels(target_lengths, begin, end, n_labels, n_target_steps)
        load_targets(
            targets,
            weights,
            target_starts,
            target_lengths,
            scale,
            begin,
            end,
            target,
            weight,
            n_target_steps,
        )
        noise[0], noise[1] = noise_key[0], noise_key[1] + s
        loss += replay(program)
        replay(carry)
    for i in range(len(gradient)):
        slot[i] = gradient[i]
    return loss


@kernel
def _train_on_batches(
    program,
    carry,
    values,
    starts,
    lengths,
    targets,
    weights,
    target_starts,
    target_lengths,
    mean,
    inverse_scale,
    x,
    held,
    n_steps,
    n_labels,
    n_target_steps,
    noise,
    noise_key,
    target,
    weight,
    gradient,
    shards,
    batches,
    slots,
    n_slots,
    update,
    alpha,
    learning_rates,
    weight_sums,
    rates,
    limits,
    found,
    losses,
):
    """Update the parameters by each minibatch, up to one whose loss is not finite."""
    for b in range(len(learning_rates)):
        first, n = batches[b], batches[b + 1] - batches[b]
        n_slots[0] = min(n, len(slots))
        loss = 0.0
        for s in range(n_slots[0]):
            loss += _train_on_shards(
                program,
                carry,
                values,
                starts,
                lengths,
                targets,
                weights,
                target_starts,
                target_lengths,
                mean,
                inverse_scale,
                x,
                held,
                n_steps,
                n_labels,
                n_target_steps,
                noise,
                noise_key,
                target,
                weight,
                gradient,
                shards,
                first + n * s // n_slots[0],
                first + n * (s + 1) // n_slots[0],
                1.0 / weight_sums[b],
                slots[s],
            )
        rates[0] = learning_rates[b]
        limits[0] = alpha / weight_sums[b]
        replay(update)
        losses[b] = loss + found[1]
        if not math.isfinite(losses[b]):
            break
