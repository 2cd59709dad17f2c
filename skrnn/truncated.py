"""Training by truncated back-propagation through time (Williams and Peng 1990).

Sequences are gone through in pieces. The states are carried from piece to piece, the
gradient is not, and each piece is followed by an update: memory and the work of an
update do not grow with the sequences.
"""

import numpy as np

from skrnn._jit import kernel
from skrnn.lanes import SamplesInLanes
from skrnn.network import load, load_targets
from skrnn.recording import replay
from skrnn.threads import Threads
from skrnn.training import Trainer


class TruncatedTrainer(Trainer):
    """A `Trainer` whose gradients go back a number of steps at most.

    A minibatch is a single shard, whose states stay where they are. The learning rate
    follows the minibatches, however many pieces they have.

    Parameters
    ----------
    n_steps : int
        Of a piece.
    *args, **kwargs
        Those of `Trainer`. The network must be causal, and predict at each step or
        from the last.
    """

    def __init__(self, n_steps, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._n_steps = min(n_steps, self._n_steps)

    def _choose_lanes(self, lengths):
        lanes = SamplesInLanes(self.parameters.dtype, 2)
        self.batch_size = min(self.batch_size, lanes.n_samples)
        return lanes

    def threads(self):
        """Return the `Threads` for epochs: pieces follow each other on one."""
        return Threads(1, self._make_workspace)

    def _make_workspace(self):
        workspace = super()._make_workspace()
        workspace.record_pieces()
        return workspace

    def _on_one_thread(self, threads, samples, batches, rates, weight_sums, losses):
        workspace = threads.workspace
        _train_on_pieces(
            workspace.reset,
            int(self.network.per_step),
            *self._arguments(workspace, samples),
            batches.shards,
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


@kernel
def _train_on_pieces(
    reset,
    per_step,
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
    """Update the parameters after each piece in which there are targets."""
    n_slots[0] = 1
    for b in range(len(learning_rates)):
        begin, end = shards[b], shards[b + 1]
        noise[0], noise[1] = noise_key[0], noise_key[1] + b
        longest = 0
        for i in range(begin, end):
            longest = max(longest, lengths[i])
        replay(reset)
        n_steps[1] = 0
        loss = 0.0
        while n_steps[1] < longest:
            if n_steps[1] > 0:
                replay(carry)
            load(
                values,
                starts,
                lengths,
                mean,
                inverse_scale,
                begin,
                end,
                x,
                held,
                n_steps,
            )
            load_targets(
                targets,
                weights,
                target_starts,
                target_lengths,
                1.0,
                begin,
                end,
                target,
                weight,
                n_target_steps,
            )
            total = _weigh(weight, held, n_steps, n_target_steps, per_step)
            for i in range(len(gradient)):
                gradient[i] = 0.0
            piece = replay(program)
            if total > 0.0:
                loss += piece * total
                for i in range(len(gradient)):
                    slots[0, i] = gradient[i]
                rates[0] = learning_rates[b]
                limits[0] = alpha / total
                replay(update)
                loss += found[1] * total
            n_steps[1] += n_steps[0]
        n_steps[1] = 0
        losses[b] = loss / weight_sums[b]
        if not np.isfinite(losses[b]):
            break


@kernel
def _weigh(weight, held, n_steps, n_target_steps, per_step):
    """Divide the weights of a piece by their sum, and return that.

    Where there is a single target, those have none whose sequence does not end here.
    """
    total = 0.0
    for t in range(n_target_steps[0]):
        for lane in range(len(held)):
            if not per_step and not 0 < held[lane] <= n_steps[0]:
                weight[t, 0, lane] = 0.0
            total += weight[t, 0, lane]
    for t in range(n_target_steps[0]):
        for lane in range(len(held)):
            if total > 0.0:
                weight[t, 0, lane] /= total
    return total
