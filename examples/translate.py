"""Translate French sentences into English, and draw what each word looks at.

    python examples/translate.py [SENTENCE ...] [--data FILE] [--figure FILE]

An encoder reads a sentence both ways, a decoder writes it in the other language, and
attention says which words it reads for each one that it writes. FILE has a pair in each
line, English tab French, in UTF-8, plain or packed with gzip: such files of Tatoeba's
sentences are at https://www.manythings.org/anki (fra-eng.zip), as shared by
tatoeba.org under CC BY 2.0 FR. Without one, the network learns to write numbers that
are spelled out, such as "four thousand and seven", in digits. The first run compiles
the network.
"""

import argparse
import gzip
import os
import time
from pathlib import Path

import numpy as np

from skrnn import RNNSeq2Seq
from skrnn.inspection import AlignmentDisplay

NAME = "eng_fra_filtered.tsv.gz"
MAX_PAIRS = 12_000  # the first ones of a file, which are the shortest
NETWORK: dict = {"hidden_layer_sizes": 128, "embedding_dim": 96, "beam_width": 5}
FIT: dict = {"max_iter": 10, "random_state": 0, "n_jobs": -1}
NUMBERS = {"n": 3000, "below": 10_000}
UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen "
UNITS += "fourteen fifteen sixteen seventeen eighteen nineteen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


def main():
    """Learn, score sentences that were not seen, and draw an alignment."""
    begin = time.perf_counter()
    options = parse_arguments()
    sources, targets, settings = read(options.data)
    train, test = split(sources)
    print(f"{len(sources):,} pairs, such as {sources[0]!r}: {targets[0]!r}\n")
    model = RNNSeq2Seq(**NETWORK | FIT | settings)
    model.fit([sources[i] for i in train], [targets[i] for i in train])

    unseen, truth = [sources[i] for i in test], [targets[i] for i in test]
    written = model.predict(unseen)
    exact = np.mean([a == b for a, b in zip(written, truth, strict=True)])
    print(f"Of {len(test):,} unseen ones {100 * exact:.1f} % come out word for word.")
    print_bleu(truth, written)

    shown = np.random.default_rng(0).permutation(len(test))[:5]
    sentences = options.sentences or [unseen[i] for i in shown]
    found = model.predict_n_best(sentences, 3)
    for sentence, best in zip(sentences, found, strict=True):
        print(f"\n{sentence}")
        for text, log_probability in best:
            print(f"  {np.exp(log_probability):6.1%}  {text}")

    draw(model, max(sentences, key=len), options.figure)
    print(f"\nAll in {time.perf_counter() - begin:.0f} s.")


def parse_arguments():
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = os.environ.get("SKRNN_DATA") or Path("..", "shared", "data")
    add = parser.add_argument
    add("sentences", nargs="*", metavar="SENTENCE", help="some of the data by default")
    add(
        "--data",
        type=Path,
        default=Path(folder),
        metavar="FILE",
        help=f"as above, or a folder with {NAME} (default: SKRNN_DATA, or %(default)s)",
    )
    add("--figure", type=Path, default=Path("alignment.png"), help="of the alignment")
    return parser.parse_args()


def read(path):
    """Return sources, targets, and what the network is told of them."""
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        print(f"There is no {path}: see --help. Spelled numbers instead.")
        n, below = NUMBERS.values()
        numbers = np.random.default_rng(0).choice(below, n, replace=False)
        texts = [spelled(int(number)) for number in numbers], [*map(str, numbers)]
        return *texts, {"target_analyzer": "char", "dropout": 0.1}
    unpacked = gzip.open if path.suffix == ".gz" else open
    with unpacked(path, "rt", encoding="utf-8") as file:
        pairs = [line.rstrip("\n").split("\t")[:2] for line in file][:MAX_PAIRS]
    targets, sources = zip(*pairs, strict=True)
    return [*sources], [*targets], {"lowercase": True}


def spelled(number):
    """Return a number below 10,000 in words."""
    if number < 20:
        return UNITS.split()[number]
    if number < 100:
        tens, units = divmod(number, 10)
        return TENS.split()[tens - 2] + (f"-{spelled(units)}" if units else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    many, rest = divmod(number, size)
    end = f" {'and ' * (rest < 100)}{spelled(rest)}" if rest else ""
    return f"{spelled(many)} {name}{end}"


def split(sources):
    """Return the rows of four fifths of the different sources, and of the others."""
    distinct, numbers = np.unique(sources, return_inverse=True)
    is_test = np.random.default_rng(0).random(len(distinct)) < 0.2
    return np.flatnonzero(~is_test[numbers]), np.flatnonzero(is_test[numbers])


def print_bleu(truth, written):
    """Print how alike the texts are, if sacrebleu is there to tell."""
    try:
        from skrnn.metrics import bleu, chrf

        options = {"force": True}  # texts whose words stand apart are meant
        print(f"BLEU {bleu(truth, written, **options):.1f}, ", end="")
        print(f"chrF {chrf(truth, written):.1f}")
    except ImportError:
        print('BLEU and chrF need sacrebleu: pip install "skrnn[text]".')


def draw(model, sentence, path):
    """Save a map of which words were read for each that is written."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        display = AlignmentDisplay.from_estimator(model, sentence)
        display.figure_.savefig(path, dpi=150)
        print(f"\nThe alignment of {sentence!r} is in {path}.")
    except (ImportError, OSError) as error:
        print(f"\nNo figure: {error}")


if __name__ == "__main__":
    main()
