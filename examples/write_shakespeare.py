"""Write a page of Shakespeare, learned letter by letter, in under two minutes.

    python examples/write_shakespeare.py [--data FILE] [--prompt "ROMEO:"] [--full]

A recurrent network reads 1.1 MB of plays and learns which letter comes next; then it
writes. FILE is any text in UTF-8, or such a text packed with gzip: Shakespeare's is
data/tinyshakespeare/input.txt of github.com/karpathy/char-rnn. Without a file the
network reads what Python's own help() says of the language, and writes such help. The
first run compiles the network.
"""

import argparse
import gzip
import lzma
import os
import time
from pathlib import Path

from skrnn import RNNLanguageModel
from skrnn.callbacks import TextSample

NAME = "tinyshakespeare.txt.gz"
N_READ = 10_000_000  # characters, those of several readings together
PAGE = 1500  # characters


def main():
    """Learn, watch what is learned, and print a page."""
    begin = time.perf_counter()
    options = parse_arguments()
    text, source = read(options.data)
    print(f"{len(text):,} characters of {source}, such as:\n")
    print(text[:200].rsplit("\n", 1)[0], "\n...\n", sep="")

    train, test = text[: 9 * len(text) // 10], text[9 * len(text) // 10 :]
    n_times = min(max(N_READ // len(train), 1), 30)
    model = RNNLanguageModel(
        128, learning_rate_init=0.012, max_iter=n_times, random_state=0, n_jobs=-1
    )
    if options.full:
        model.set_params(hidden_layer_sizes=384, dropout=0.2, max_iter=2 * n_times)
        model.set_params(learning_rate_init=0.005)
    prompt = options.prompt or ("ROMEO:" if "ROMEO:" in train else "The ")
    if hasattr(model, "set_callbacks"):  # with scikit-learn 1.9 or newer
        every = max(n_times // 10, 1)
        sample = TextSample(prompt, 80, every=every, temperature=0.8, random_state=0)
        model.set_callbacks(sample)
    model.fit(train)

    print("\nBits that a character takes of the last tenth, which was not learned from")
    print(f"lzma (7-Zip's)    {packed_bits(train, test):5.2f}")
    print(f"RNNLanguageModel  {model.bits_per_char(test):5.2f}")

    print("\nA page:\n")
    print(prompt, end="")
    for letter in model.stream(prompt, PAGE, temperature=0.8, random_state=0):
        print(letter, end="", flush=True)
    print(f"\n\nAll in {time.perf_counter() - begin:.0f} s.")


def parse_arguments():
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = os.environ.get("SKRNN_DATA") or Path("..", "shared", "data")
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        default=Path(folder),
        metavar="FILE",
        help=f"a text, or a folder with {NAME} (default: SKRNN_DATA, or %(default)s)",
    )
    add("--prompt", help="how the page begins")
    add("--full", action="store_true", help="a larger network, reading twice as often")
    return parser.parse_args()


def read(path):
    """Return a text and what it is."""
    path = path / NAME if path.is_dir() else path
    if path.is_file():
        unpacked = gzip.open if path.suffix == ".gz" else open
        with unpacked(path, "rt", encoding="utf-8") as file:
            return file.read(), path.name
    from pydoc_data.topics import topics  # what help("for") prints, and so on

    print(f"There is no {path}: see --help. Python's own help instead.")
    paragraphs = "\n\n".join(topics.values()).split("\n\n")
    return "\n\n".join(dict.fromkeys(paragraphs)), "Python's help"  # each but once


def packed_bits(known, text):
    """Return the bits a character takes if packed behind a text that is known."""
    both, alone = (len(lzma.compress(x.encode())) for x in (known + text, known))
    return 8 * (both - alone) / len(text)


if __name__ == "__main__":
    main()
