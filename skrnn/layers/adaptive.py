"""A softmax over many classes that computes few of them for the frequent ones."""

import numpy as np

from skrnn._jit import kernel
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, Layer, Shard
from skrnn.layers._moves import add
from skrnn.layers.dense import Dense
from skrnn.losses import multiclass_log_loss
from skrnn.parameters import aligned_zeros
from skrnn.products import clear
from skrnn.recording import Recording, replay

# Each tail has so many times fewer units than the one before it.
SHRINKAGE = 4
# What the predictions of a tail take at a time, and the most steps of full lanes.
TAIL_BYTES, TAIL_STEPS = 2**22, 16


class AdaptiveSoftmax(Layer):
    """Classes ordered by falling frequency: a head and tails of rarer and rarer ones.

    The head is a dense layer with a row for each class before the first cutoff, and
    one for each tail. A tail projects its inputs to fewer units, and its classes are a
    dense layer of these. In training it is computed at those steps alone whose class
    is one of its own (Grave et al. 2017), with a fourth of the units for the first
    tail, and of each for the next.

    Parameters
    ----------
    n_inputs, n_classes : int
    cutoffs : tuple of int
        Where the tails begin, rising.
    """

    takes_pairs = False

    def __init__(self, n_inputs, n_classes, cutoffs):
        ends = (*map(int, cutoffs), n_classes)
        if not cutoffs or ends[0] < 1 or any(np.diff(ends) < 1):
            raise ValueError(
                "cutoffs must be numbers of classes that rise from at least 1 to fewer "
                f"than all {n_classes}, got {cutoffs}."
            )
        self.n_inputs = n_inputs
        self.n_outputs = ends[0] + len(cutoffs)
        self.ends = ends
        self._head = Dense(n_inputs, self.n_outputs)
        self._tails = []
        for i, n_words in enumerate(np.diff(ends).tolist()):
            n_units = max(1, n_inputs // SHRINKAGE ** (i + 1))
            parts = {
                "projection": Dense(n_inputs, n_units),
                "classes": Dense(n_units, n_words),
            }
            self._tails.append(parts)

    def _parts(self):
        """Yield the dense layers with what stands before their parameters' names."""
        yield "", self._head
        for i, tail in enumerate(self._tails):
            for name, layer in tail.items():
                yield f"tails.{i}.{name}.", layer

    def parameter_shapes(self):
        """Those of all dense layers."""
        return {
            f"{prefix}{name}": shape
            for prefix, layer in self._parts()
            for name, shape in layer.parameter_shapes().items()
        }

    def flops(self):
        """Return the multiply-adds of the head: tails are computed at few steps."""
        return self._head.flops()

    def initialize(self, parameters, random_state):
        """Do as all dense layers."""
        for prefix, layer in self._parts():
            layer.initialize(_under(prefix, parameters, layer), random_state)

    def pack(self, calls, parameters, lanes, training):
        """Bring the weights into the order of the products; the tails' for training."""
        return {
            prefix: layer.pack(
                calls, _under(prefix, parameters, layer), lanes, training
            )
            for prefix, layer in self._parts()
            if training or layer is self._head
        }

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard of at most `n_steps` steps."""
        buffers = self._head.allocate(n_steps, lanes, training)
        if training:
            shape = n_steps, 1, lanes.n_samples
            buffers.head_target = aligned_zeros(shape, lanes.dtype)
            buffers.d_states = lanes.rows(n_steps, self.n_inputs)
            buffers.tails = [
                _allocate_tail(tail, n_steps, lanes) for tail in self._tails
            ]
        return buffers

    def forward(self, calls, packed, x, buffers, shard):
        """Fill the output: the predictions of the head."""
        self._head.forward(calls, packed[""], x, buffers, shard)

    def record_loss(self, calls, packed, x, buffers, gradients, shard, target, weight):
        """Record the exact loss and its gradients, but for what `backward` adds."""
        n_steps = shard.n_steps
        cutoffs = np.array(self.ends[:-1], np.int64)
        plain = np.zeros(1, x.dtype)
        calls.add(_name_tails, buffers.head_target, target, cutoffs, n_steps)
        calls.add(
            multiclass_log_loss,
            by_lane(buffers.output),
            by_lane(buffers.d_output),
            buffers.head_target,
            weight,
            plain,
            n_steps,
        )
        calls.add(clear, buffers.d_states, n_steps, self.n_inputs)
        for i, of_tail in enumerate(buffers.tails):
            inner = Recording()
            inner.add(
                _find,
                of_tail.places,
                of_tail.progress,
                of_tail.shard.n_steps,
                target,
                weight,
                self.ends[i],
                self.ends[i + 1],
                n_steps,
            )
            inner.add(
                _gather,
                by_lane(of_tail.x),
                of_tail.target,
                of_tail.weight,
                by_lane(x),
                target,
                weight,
                self.ends[i],
                of_tail.places,
                of_tail.shard.n_steps,
            )
            self._record_tail(inner, i, packed, of_tail, gradients)
            states, found = by_lane(buffers.d_states), by_lane(of_tail.d_x)
            inner.add(_scatter, states, found, of_tail.places, of_tail.shard.n_steps)
            of_tail.recordings.append(inner)
            calls.add(_through_tail, inner.program(), of_tail.progress)

    def _record_tail(self, calls, i, packed, buffers, gradients):
        """Record the way through a tail and back, for what was gathered."""
        names = [f"tails.{i}.{name}." for name in self._tails[i]]
        below, above = self._tails[i].values()
        hidden, words, shard = buffers.projection, buffers.classes, buffers.shard
        below.forward(calls, packed[names[0]], buffers.x, hidden, shard)
        above.forward(calls, packed[names[1]], hidden.output, words, shard)
        calls.add(
            multiclass_log_loss,
            by_lane(words.output),
            by_lane(words.d_output),
            buffers.target,
            buffers.weight,
            np.zeros(1, buffers.x.dtype),
            shard.n_steps,
        )
        above.backward(
            calls,
            packed[names[1]],
            hidden.output,
            words,
            _under(names[1], gradients, above),
            hidden.d_output,
            shard,
        )
        below.backward(
            calls,
            packed[names[0]],
            buffers.x,
            hidden,
            _under(names[0], gradients, below),
            buffers.d_x,
            shard,
        )

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients of the head and fill `d_x`, with that of the tails."""
        self._head.backward(calls, packed[""], x, buffers, gradients, d_x, shard)
        if d_x is not None:
            rows, states = by_lane(d_x), by_lane(buffers.d_states)
            calls.add(add, rows, states, self.n_inputs, shard.n_steps)


def _under(prefix, parameters, layer):
    """Return the parameters of a part by its own names."""
    return {name: parameters[f"{prefix}{name}"] for name in layer.parameter_shapes()}


def _allocate_tail(tail, n_steps, lanes):
    """Return buffers that some steps of full lanes pass through at a time."""
    projection, classes = tail.values()
    n_lanes = lanes.n_samples
    bytes_of_step = classes.n_outputs * n_lanes * lanes.dtype.itemsize
    n_steps = min(n_steps, TAIL_STEPS, max(1, TAIL_BYTES // bytes_of_step))
    none = np.zeros(2, np.int64)
    return Buffers(
        # what they are gathered from may have a row more, or not
        x=lanes.rows(n_steps, projection.n_inputs, padded=False),
        d_x=lanes.rows(n_steps, projection.n_inputs, padded=False),
        projection=projection.allocate(n_steps, lanes, True),
        classes=classes.allocate(n_steps, lanes, True),
        target=aligned_zeros((n_steps, 1, n_lanes), lanes.dtype),
        weight=np.zeros((n_steps, 1, n_lanes)),
        places=np.zeros((n_steps * n_lanes, 2), np.int64),
        progress=np.zeros(1, np.int64),
        shard=Shard(np.zeros(n_lanes, np.int64), np.array([0, 0, n_lanes]), none),
        recordings=[],
    )


@kernel
def _name_tails(named, target, cutoffs, n_steps):
    """Put the tail in the place of each class that is in one."""
    for t in range(n_steps[0]):
        for lane in range(target.shape[2]):
            y = target[t, 0, lane]
            for i in range(len(cutoffs)):
                if target[t, 0, lane] >= cutoffs[i]:
                    y = cutoffs[0] + i
            named[t, 0, lane] = y


@kernel
def _through_tail(program, progress):
    """Pass what belongs to a tail through it; return its loss."""
    value, progress[0] = 0.0, 0
    while progress[0] >= 0:
        value += replay(program)
    return value


@kernel
def _find(places, progress, n_found, target, weight, low, high, n_steps):
    """Find the steps and lanes whose class is in a tail, as many as there is room for.

    `progress` counts the steps of all lanes that have been looked at; -1 is the end.
    """
    n_lanes, found = target.shape[2], 0
    for i in range(progress[0], n_steps[0] * n_lanes):
        if found == len(places):
            break
        t, lane = divmod(i, n_lanes)
        if weight[t, 0, lane] > 0.0 and low <= target[t, 0, lane] < high:
            places[found, 0], places[found, 1] = t, lane
            found += 1
        progress[0] = i + 1
    if progress[0] == n_steps[0] * n_lanes:
        progress[0] = -1
    n_found[0] = -(-found // n_lanes)
    for i in range(found, n_found[0] * n_lanes):
        places[i, 0] = -1


@kernel
def _gather(
    gathered, near_target, near_weight, x, target, weight, low, places, n_found
):
    """Bring these steps into full lanes."""
    for i in range(n_found[0] * near_target.shape[2]):
        s, place = divmod(i, near_target.shape[2])
        t, lane = places[i, 0], places[i, 1]
        if t < 0:
            near_target[s, 0, place], near_weight[s, 0, place] = 0.0, 0.0
            for k in range(gathered.shape[1]):
                gathered[s, k, place] = 0.0
        else:
            near_target[s, 0, place] = target[t, 0, lane] - low
            near_weight[s, 0, place] = weight[t, 0, lane]
            for k in range(gathered.shape[1]):
                gathered[s, k, place] = x[t, k, lane]


@kernel
def _scatter(d_x, gathered, places, n_found):
    """Add what is in full lanes where it belongs."""
    n_lanes = gathered.shape[2]
    for i in range(n_found[0] * n_lanes):
        s, place = divmod(i, n_lanes)
        t, lane = places[i, 0], places[i, 1]
        if t >= 0:
            for k in range(gathered.shape[1]):
                d_x[t, k, lane] += gathered[s, k, place]
