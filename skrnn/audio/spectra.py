"""Recordings cut into frames, and the spectra of all frames at once."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from skrnn.blocks import CACHE_BYTES


@dataclass(frozen=True)
class Analysis:
    """What is computed of each frame.

    Parameters
    ----------
    window : ndarray of shape (n_values,)
        Multiplies the values of a frame.
    shift : int
        Values from the start of a frame to that of the next.
    n_fft : int
        Values that the Fourier transform takes, at least those of a frame.
    filters : ndarray of shape (n_mels, n_fft // 2 + 1)
        Weights of the spectrum in each band.
    power : float
        Exponent of the magnitudes.
    preemphasis : float
        Share of the value before that is subtracted from each.
    center : bool
        Whether frame i is centred on value ``i * shift`` instead of beginning there.
    """

    window: NDArray
    shift: int
    n_fft: int
    filters: NDArray
    power: float
    preemphasis: float
    center: bool

    def n_frames(self, lengths):
        """Tell how many frames recordings have.

        Parameters
        ----------
        lengths : ndarray of int

        Returns
        -------
        n_frames : ndarray of int
            At least 1.
        """
        if not self.center:
            lengths = np.maximum(lengths - len(self.window), 0)
        return 1 + lengths // self.shift

    def energies(self, values, lengths):
        """Give the energies in the bands of all frames of some recordings.

        Parameters
        ----------
        values : ndarray of shape (lengths.sum(),)
            One recording after the other.
        lengths : ndarray of int of shape (n_recordings,)

        Returns
        -------
        energies : ndarray of float64 of shape (n_frames, n_mels)
        """
        n_frames = self.n_frames(lengths)
        values = self._emphasize(values, lengths)
        values, starts = self._lay_out(values, lengths, n_frames)
        frames = sliding_window_view(values, len(self.window))
        energies = np.empty((len(starts), len(self.filters)))
        n_together = max(1, CACHE_BYTES // (8 * self.n_fft))
        for first in range(0, len(starts), n_together):
            chunk = slice(first, first + n_together)
            np.matmul(
                self._spectrum(frames[starts[chunk]]),
                self.filters.T,
                out=energies[chunk],
            )
        return energies

    def _emphasize(self, values, lengths):
        """Subtract from each value a share of that before it in its recording."""
        values = values.astype(np.float64)
        if self.preemphasis:
            starts = np.cumsum(lengths) - lengths
            first = values[starts]
            values[1:] -= self.preemphasis * values[:-1]
            values[starts] = first
        return values

    def _lay_out(self, values, lengths, n_frames):
        """Put zeros where frames reach beyond their recordings; tell where they start.

        No frame reaches from one recording into the next.
        """
        # as if the window were in the middle of the values that are transformed
        before = self.n_fft // 2 - (self.n_fft - len(self.window)) // 2
        before = before if self.center else 0
        reach = (n_frames - 1) * self.shift + len(self.window)
        sizes = np.maximum(reach, before + lengths)
        offsets = np.cumsum(sizes) - sizes
        if before or (sizes > lengths).any():
            moves = offsets + before - (np.cumsum(lengths) - lengths)
            padded = np.zeros(sizes.sum())
            padded[np.repeat(moves, lengths) + np.arange(len(values))] = values
            values = padded
        starts = self.shift * np.arange(n_frames.sum())
        starts += np.repeat(
            offsets - self.shift * (np.cumsum(n_frames) - n_frames), n_frames
        )
        return values, starts

    def _spectrum(self, frames):
        """Give the magnitudes of the frequencies, to the power; frames are a copy."""
        frames *= self.window
        spectrum = np.fft.rfft(frames, self.n_fft)
        squares = spectrum.real**2
        squares += spectrum.imag**2
        return squares if self.power == 2 else squares ** (self.power / 2)


def window_of(name, n_values):
    """Give the window by name, periodic as for spectral analysis.

    Parameters
    ----------
    name : {"hann", "hamming"}
    n_values : int

    Returns
    -------
    window : ndarray of shape (n_values,)

    Examples
    --------
    >>> from skrnn.audio.spectra import window_of
    >>> window_of("hann", 4)
    array([0. , 0.5, 1. , 0.5])
    """
    if n_values == 1:
        return np.ones(1)
    window = np.hanning if name == "hann" else np.hamming
    return window(n_values + 1)[:-1]
