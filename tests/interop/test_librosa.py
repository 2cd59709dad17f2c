"""LogMel and MFCC beside librosa's spectra, coefficients and slopes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skrnn.audio import MFCC, LogMel
from skrnn.audio.filters import filter_edges, mel_filters

librosa = pytest.importorskip("librosa")

RATE = 8000
FRAME, SHIFT, N_FFT = 200, 80, 256


@pytest.fixture(scope="module")
def recording():
    """A voice of sorts: a rising tone with overtones, in noise."""
    rng = np.random.default_rng(0)
    phase = np.cumsum(np.linspace(100, 300, 6000)) * 2 * np.pi / RATE
    tones = sum(np.sin(k * phase) / k for k in range(1, 12))
    return tones * np.linspace(0.01, 0.3, 6000) + rng.normal(0, 0.01, 6000)


def log_mel(x, **options):
    """Return librosa's log energies, a row a frame."""
    usual = {"n_fft": N_FFT, "hop_length": SHIFT, "win_length": FRAME, "n_mels": 40}
    energies = librosa.feature.melspectrogram(
        y=x, sr=RATE, pad_mode="constant", **usual | options
    )
    return np.log(np.maximum(energies, 1e-10)).T


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", [None, "slaney"])
@pytest.mark.parametrize("bounds", [(0, 4000), (50, 3700)])
def test_filters(scale, norm, bounds):
    edges = filter_edges(30, *bounds, scale)
    theirs = librosa.filters.mel(
        sr=RATE,
        n_fft=512,
        n_mels=30,
        fmin=bounds[0],
        fmax=bounds[1],
        htk=scale == "htk",
        norm=norm,
        dtype=np.float64,
    )
    assert_allclose(mel_filters(RATE, 512, edges, norm), theirs, atol=1e-10)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("window", ["hann", "hamming"])
@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_centred_spectra(recording, scale, window, power):
    ours = LogMel(
        RATE,
        center=True,
        preemphasis=None,
        mel_scale=scale,
        norm="slaney",
        window=window,
        power=power,
    ).transform([recording])[0]
    theirs = log_mel(
        recording, htk=scale == "htk", norm="slaney", window=window, power=power
    )
    # librosa keeps its filters in float32
    assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("n", [199, 200, 201, 255])
@pytest.mark.parametrize("n_fft", [256, 301])
def test_centred_frames_of_any_length(recording, n, n_fft):
    ours = LogMel(
        RATE,
        frame_length=n / RATE,
        n_fft=n_fft,
        n_mels=20,
        center=True,
        preemphasis=None,
    ).transform([recording])[0]
    options = {"win_length": n, "n_fft": n_fft, "n_mels": 20}
    theirs = log_mel(recording, htk=True, norm=None, **options)
    # of an odd transform librosa pads a value less, and may lack the last frame
    assert len(ours) - len(theirs) == n_fft % 2
    assert_allclose(ours[: len(theirs)], theirs, atol=1e-5)


def test_preemphasis_and_frames_without_padding(recording):
    emphasized = librosa.effects.preemphasis(recording, coef=0.97, zi=[0.0])
    # librosa's frames are as long as the transform, and the window is in their middle
    margin = (N_FFT - FRAME) // 2
    padded = np.pad(emphasized, margin)
    theirs = log_mel(padded, center=False, htk=True, norm=None)
    ours = LogMel(RATE).transform([recording])[0]
    assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("n_mfcc", [13, 40])
def test_coefficients_and_slopes(recording, n_mfcc):
    spectra = LogMel(RATE).transform([recording])[0]
    theirs = librosa.feature.mfcc(S=spectra.T, n_mfcc=n_mfcc, norm="ortho")
    slopes = librosa.feature.delta(theirs, width=5, mode="nearest")
    ours = MFCC(RATE, n_mfcc=n_mfcc, deltas=1).transform([recording])[0]
    assert_allclose(ours, np.concatenate([theirs, slopes]).T, atol=1e-9)
