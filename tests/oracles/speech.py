"""Log mel spectra and cepstral coefficients by their definitions, frame by frame."""

import cmath
import math

import numpy as np


def pitch(hz, scale):
    if scale == "htk":
        return 2595 * math.log10(1 + hz / 700)
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000, 6.4)


def frequency(mel, scale):
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def taper(name, n):
    share = 0.5 if name == "hann" else 0.54
    return [share - (1 - share) * math.cos(2 * math.pi * i / n) for i in range(n)]


def frames_of(x, n, n_fft, shift, center):
    """Cut a list of values into frames; with zeros where there is nothing."""
    if center:
        # librosa: the window is in the middle of what is transformed
        first = (n_fft - n) // 2 - n_fft // 2
        starts = range(first, first + len(x) + 1, shift)
    else:
        starts = range(0, max(len(x) - n, 0) + 1, shift)
    return [
        [x[i] if 0 <= i < len(x) else 0.0 for i in range(start, start + n)]
        for start in starts
    ]


def magnitude(frame, k, n_fft):
    """Give the absolute value of one coefficient of the Fourier transform."""
    turn = -2j * math.pi * k / n_fft
    return abs(sum(value * cmath.exp(turn * i) for i, value in enumerate(frame)))


def energies(x, p):
    """Give the energies of each frame in the bands of a transformer's parameters."""
    x = [float(value) for value in x]
    share = p["preemphasis"] or 0.0
    x = x[:1] + [
        now - share * before for before, now in zip(x[:-1], x[1:], strict=True)
    ]
    n, shift = (
        round(p[name] * p["sample_rate"]) for name in ("frame_length", "frame_shift")
    )
    n_fft = p["n_fft"] or 2 ** math.ceil(math.log2(n))
    window = taper(p["window"], n)
    hz = [k * p["sample_rate"] / n_fft for k in range(n_fft // 2 + 1)]
    f_max = p["f_max"] or p["sample_rate"] / 2
    low, high = pitch(p["f_min"], p["mel_scale"]), pitch(f_max, p["mel_scale"])
    step = (high - low) / (p["n_mels"] + 1)
    edges = [frequency(low + i * step, p["mel_scale"]) for i in range(p["n_mels"] + 2)]
    rows = []
    for frame in frames_of(x, n, n_fft, shift, p["center"]):
        tapered = [w * value for w, value in zip(window, frame, strict=True)]
        spectrum = [magnitude(tapered, k, n_fft) ** p["power"] for k in range(len(hz))]
        row = []
        for band in range(p["n_mels"]):
            corners = edges[band : band + 3]
            weights = np.interp(hz, corners, [0, 1, 0], left=0, right=0)
            if p["norm"] == "slaney":
                weights = weights * 2 / (corners[2] - corners[0])
            row.append(sum(weights * spectrum))
        rows.append(row)
    return np.array(rows)


def log_mel(x, p):
    return np.log(np.maximum(energies(x, p), p["log_floor"]))


def mfcc(x, p):
    """Give the first coefficients of the orthonormal cosine transform."""
    spectra = log_mel(x, p)
    n = p["n_mels"]
    columns = []
    for k in range(p["n_mfcc"]):
        wave = np.cos(math.pi * k * (2 * np.arange(n) + 1) / (2 * n))
        column = (spectra * wave).sum(axis=1) / math.sqrt(n if k == 0 else n / 2)
        if p["lifter"] is not None:
            lifter = p["lifter"]
            column *= 1 + lifter / 2 * math.sin(math.pi * k / lifter)
        columns.append(column)
    return np.stack(columns, axis=1)


def trajectories(static, normalize, deltas):
    """Normalize one recording's features and append the slopes of fitted lines."""
    if normalize is not None:
        static = static - static.mean(axis=0)
        if normalize == "mean_variance" and len(static) > 1:
            static = static / static.std(axis=0)
    parts = [static]
    for _ in range(deltas):
        frames = np.arange(len(static))
        around = [np.clip(frames + n, 0, len(static) - 1) for n in range(-2, 3)]
        windows = np.stack([parts[-1][rows] for rows in around])
        lines = np.polyfit(np.arange(5), windows.reshape(5, -1), 1)
        parts.append(lines[0].reshape(static.shape))
    return np.concatenate(parts, axis=1)
