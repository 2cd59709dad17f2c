"""Transcribe digits that are spoken one after the other, in less than two minutes.

    python examples/digit_strings.py [--data FOLDER]

FOLDER, or the environment's SKRNN_DATA, holds the Free Spoken Digit Dataset, six people
who say each digit fifty times (https://github.com/Jakobovski/free-spoken-digit-dataset,
CC BY-SA 4.0): its `recordings`, such as 7_jackson_32.wav, or all of them in one
`fsdd_audio.npz`. Three to seven of them are joined to a recording, whose transcript
says which digits they are, but not where. The first five recordings of each digit and
person are in the strings of the test part only.

Without the data NumPy sends Morse code, of several pitches and speeds, with noise, and
the network learns to write down the letters. The first run compiles the network.
"""

import argparse
import os
import time
import wave
from pathlib import Path

import numpy as np
from sklearn.pipeline import make_pipeline

from skrnn import RNNTranscriber
from skrnn.audio import MFCC
from skrnn.metrics import character_error_rate

RATE = 8000  # values a second
N_TRAIN, N_TEST = 1500, 200
NETWORK = {
    "steps_per_frame": 2,  # two steps of 10 ms are one frame
    "batch_size": 32,
    "learning_rate_init": 0.008,
    "max_iter": 8,
    "random_state": 0,
    "verbose": True,
}
MORSE = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... "
        "- ..- ...- .-- -..- -.-- --..".split(),
        strict=True,
    )
)


def main():
    """Train, and print what the test part says beside what was read."""
    begin = time.perf_counter()
    folder = parse_arguments().data
    X_train, y_train, X_test, y_test = load(folder)
    seconds = sum(map(len, X_train)) / RATE
    print(f"{len(X_train)} recordings of {seconds / len(X_train):.1f} s on average")
    model = make_pipeline(MFCC(RATE, deltas=2), RNNTranscriber(**NETWORK))
    model.fit(X_train, y_train)
    predicted = model.predict(X_test)
    # the search looks for the best text, not for the best path
    model[-1].set_params(beam_width=8)
    searched = model.predict(X_test)
    print(f"\n{'said':10} {'read':10}")
    for said, read in zip(y_test[:10], searched[:10], strict=True):
        print(f"{said:10} {read:10} {'' if said == read else '<- wrong'}")
    print(f"\nOf {len(y_test)} new recordings, characters that are wrong:")
    for name, texts in {"best path": predicted, "search": searched}.items():
        print(f"{name:10} {100 * character_error_rate(y_test, list(texts)):5.2f} %")
    print(f"All in {time.perf_counter() - begin:.0f} s.")


def parse_arguments():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("SKRNN_DATA") or Path("..", "shared", "data")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help=f"as above (default: SKRNN_DATA, or {default})",
    )
    options = parser.parse_args()
    if options.data is None:
        options.data = Path(default)
    elif read_digits(options.data) is None:
        parser.error(f"there are no spoken digits of all kinds in {options.data}")
    return options


def load(folder):
    """Return recordings and their texts, of the training part and the test part."""
    rng = np.random.default_rng(0)
    found = read_digits(folder)
    if found is None:
        print("No spoken digits (see --help): letters in Morse code instead")
        train, test = (send_letters(n, rng) for n in (N_TRAIN, N_TEST))
    else:
        recordings, digits, is_test = found
        print(f"{len(digits)} spoken digits, joined to strings")
        train = join(recordings, digits, np.flatnonzero(~is_test), N_TRAIN, rng)
        test = join(recordings, digits, np.flatnonzero(is_test), N_TEST, rng)
    return *train, *test


# Spoken digits ------------------------------------------------------------------------


def read_digits(folder):
    """Return the recordings, which digit each is, and whether it is for the test.

    None if there are none in the folder.
    """
    if (folder / "fsdd_audio.npz").exists():
        with np.load(folder / "fsdd_audio.npz") as file:
            recordings = np.split(file["values"], np.cumsum(file["lengths"])[:-1])
            return recordings, file["digit"], file["index"] < 5
    paths = sorted(folder.glob("**/[0-9]_*_*.wav"))
    digits = np.array([int(path.stem.split("_")[0]) for path in paths])
    index = np.array([int(path.stem.split("_")[-1]) for path in paths])
    if not (index < 5).any() or not (index >= 5).any():
        return None
    return [read_wave(path) for path in paths], digits, index < 5


def read_wave(path):
    """Return the values of a file with 16 bits and one channel."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def join(recordings, digits, rows, n_strings, rng):
    """Return strings of some of the recordings, and their digits."""
    X, y = [], []
    for _ in range(n_strings):
        string = rng.choice(rows, size=rng.integers(3, 8))
        X.append(np.concatenate([recordings[i] for i in string]))
        y.append("".join(str(digits[i]) for i in string))
    return X, y


# Morse code ---------------------------------------------------------------------------


def send_letters(n_strings, rng):
    """Return recordings of letters in Morse code, and the letters."""
    letters = list(MORSE)
    y = ["".join(rng.choice(letters, rng.integers(3, 7))) for _ in range(n_strings)]
    return [send(text, rng) for text in y], y


def send(text, rng):
    """Return the recording of a text: a dash is as long as three dots."""
    dot = int(RATE * rng.uniform(0.03, 0.05))
    units = [0, 0, 0]
    for letter in text:
        for sign in MORSE[letter]:
            units += [1] * (1 if sign == "." else 3) + [0]
        units += [0, 0]
    key = np.repeat(units, dot).astype(float)
    key = np.convolve(key, np.hanning(40) / 20, "same")  # no clicks
    time = np.arange(len(key)) / RATE
    tone = np.sin(2 * np.pi * rng.uniform(500, 900) * time)
    return 0.3 * key * tone + rng.normal(0, 0.03, len(key))


if __name__ == "__main__":
    main()
