"""How a shard of samples lies in the lanes of its buffers.

Three arrangements of the same numbers, and so the same outputs bit for bit: a lane for
each of several samples; of a few samples a lane for each of two units; or, of a single
sample, a lane for each unit.
"""

from dataclasses import dataclass, field

import numpy as np

from skrnn.parameters import aligned_zeros
from skrnn.products import pack, pack_transposed, pack_units, spread
from skrnn.simd import lane_count
from skrnn.tiles import LARGEST


def by_lane(rows):
    """Return a buffer as (time, units, samples), which pairs cannot be seen as."""
    if rows.ndim == 5:
        raise ValueError("Pairs of units are not an axis of a view: see `simd.by_row`.")
    if rows.ndim == 2:  # a lane is a unit
        return rows.reshape(*rows.shape, 1)
    return rows.reshape(*rows.shape[:2], -1)


def _padded(n_steps, n_rows):
    """Several steps get a row more than a multiple of eight.

    Steps that lie a power of two apart would fall on few sets of the first-level cache.
    """
    return n_rows + (n_steps > 1 and n_rows % 8 == 0)


@dataclass(frozen=True)
class SamplesInLanes:
    """A lane is a sample, and a row holds a number of each.

    Parameters
    ----------
    dtype : dtype
    n_registers : {1, 2}
        Registers that a row fills. Two make more of each weight that is loaded.
    """

    dtype: np.dtype
    n_registers: int

    @property
    def n_samples(self):
        """The most samples of a shard."""
        return self.n_registers * lane_count(self.dtype)

    @property
    def for_sequences(self):
        """The arrangement of sequences; `self` is that of a vector for each of them."""
        return self

    @property
    def _largest(self):
        return LARGEST // self.n_registers

    def n_rows(self, n_units):
        """Return the rows that so many units take."""
        return n_units

    def rows(self, n_steps, n_units, n_blocks=1, padded=True):
        """Return a zeroed buffer of blocks of so many units.

        Unless `padded` it has no row beyond theirs.
        """
        n_rows = n_blocks * n_units
        if padded:
            n_rows = _padded(n_steps, n_rows)
        shape = (n_steps, n_rows, lane_count(self.dtype))
        if self.n_registers == 2:
            shape = (n_steps, n_rows, 2, lane_count(self.dtype))
        return aligned_zeros(shape, self.dtype)

    def packed(self, calls, weights, n_units, blocks):
        """Return room for packed weights, and record the packing.

        The columns of the weights are blocks of so many units; `blocks` are the first
        blocks of the products that are computed apart, and the end.
        """
        packed = aligned_zeros((weights.size,), self.dtype)
        calls.add(
            pack, weights, n_units * np.array(blocks, np.int64), self._largest, packed
        )
        return packed

    def packed_transposed(self, calls, weights):
        """Return room for the packed transpose, and record the packing."""
        packed = aligned_zeros((weights.size,), self.dtype)
        calls.add(pack_transposed, weights, self._largest, packed)
        return packed

    def packed_bias(self, calls, bias, n_units):
        """Return the bias as the products take it."""
        return bias


@dataclass(frozen=True)
class FewSamplesInLanes(SamplesInLanes):
    """Half of the lanes have samples, and rows of sequences hold pairs of units."""

    n_registers: int = field(default=1, init=False)

    @property
    def n_samples(self):
        """The most samples of a shard."""
        return lane_count(self.dtype) // 2

    @property
    def for_sequences(self):
        """The arrangement of sequences."""
        return PairsInLanes(self.dtype)


class _UnitsSideBySide:
    """What is alike wherever a row holds several units of a sample: `units_of_row`.

    Each block of units is filled up with zeros to whole rows.
    """

    @property
    def for_sequences(self):
        """The arrangement of sequences."""
        return self

    def n_rows(self, n_units):
        """Return the rows that so many units take."""
        return -(-n_units // self.units_of_row)

    def packed(self, calls, weights, n_units, blocks):
        """Return room for packed weights, and record the packing."""
        return self._packed(calls, weights, n_units, blocks, transposed=False)

    def packed_transposed(self, calls, weights):
        """Return room for the packed transpose, and record the packing."""
        return self._packed(calls, weights, len(weights), [0, 1], transposed=True)

    def _packed(self, calls, weights, n_units, blocks, transposed):
        n_terms, n_all = reversed(weights.shape) if transposed else weights.shape
        n_rows, units = n_all // n_units * self.n_rows(n_units), self.units_of_row
        size = self.n_rows(n_terms) * n_rows * units**2
        packed = aligned_zeros((size,), self.dtype)
        cuts = self.n_rows(n_units) * np.array(blocks, np.int64)
        calls.add(
            pack_units, weights, int(transposed), n_units, units, cuts, LARGEST, packed
        )
        return packed

    def packed_bias(self, calls, bias, n_units):
        """Return room for the bias as the products take it, and record its filling."""
        width = self.n_rows(n_units) * self.units_of_row
        packed = aligned_zeros((len(bias) // n_units * width,), self.dtype)
        calls.add(spread, bias, n_units, width, packed)
        return packed


@dataclass(frozen=True)
class PairsInLanes(_UnitsSideBySide):
    """A row holds two units of half as many samples as there are lanes.

    Gradients of weights take the columns of all blocks for units that lie side by side,
    so the units of a block must be even in number.
    """

    dtype: np.dtype
    units_of_row = 2

    def rows(self, n_steps, n_units, n_blocks=1):
        """Return a zeroed buffer of blocks of so many units."""
        n_rows = _padded(n_steps, n_blocks * self.n_rows(n_units))
        shape = (n_steps, n_rows, 1, lane_count(self.dtype) // 2, 2)
        return aligned_zeros(shape, self.dtype)


@dataclass(frozen=True)
class UnitsInLanes(_UnitsSideBySide):
    """A lane is a unit of the only sample; there is no backward pass."""

    dtype: np.dtype
    n_samples = 1

    @property
    def units_of_row(self):
        """All that a register takes."""
        return lane_count(self.dtype)

    def rows(self, n_steps, n_units, n_blocks=1, padded=False):
        """Return a zeroed buffer of blocks of so many units."""
        n_rows = n_blocks * self.n_rows(n_units)
        return aligned_zeros((n_steps, n_rows * self.units_of_row), self.dtype)


# Multiply-adds of a minibatch that are worth two threads even where it is small.
FLOPS_FOR_THREADS = 2**26


def training_lanes(dtype, batch_size, flops, takes_pairs):
    """Return the arrangement for minibatches of this size and work.

    Two registers are quicker on one thread, but make half as many shards for several.
    `takes_pairs` says whether the units of all layers can be taken in pairs.
    """
    few = FewSamplesInLanes(dtype)
    if takes_pairs and batch_size <= few.n_samples:
        return few
    one, two = (SamplesInLanes(dtype, n) for n in (1, 2))
    if batch_size <= one.n_samples:
        return one
    return one if batch_size <= two.n_samples and flops > FLOPS_FOR_THREADS else two


def prediction_lanes(dtype, n_samples, may_overflow):
    """Return the arrangement for predicting so many samples.

    Where states may overflow, a lane must not be a unit: the product of an infinite
    state and the zero weight of a lane without a unit is not a number.
    """
    if n_samples <= 2 and not may_overflow:
        return UnitsInLanes(dtype)
    one = SamplesInLanes(dtype, 1)
    return one if n_samples <= one.n_samples else SamplesInLanes(dtype, 2)
