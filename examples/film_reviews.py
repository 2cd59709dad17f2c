"""Tell whether a film review praises, and highlight the words that say so.

    python examples/film_reviews.py [REVIEW ...] [--data PATH] [--html FILE]

A recurrent network reads sentences of film reviews word by word, in both directions,
beside a linear model that counts words and pairs of words. Integrated gradients then
tell what each word contributes. The sentences are those of Pang and Lee (2005), as in
the folder data/rt-polaritydata of github.com/dennybritz/cnn-text-classification-tf:
PATH is such a folder, or a file of lines with 1 or 0, a tab and the sentence. Without
them, the network learns from sentences put together in this file: a toy. The first run
compiles the network.
"""

import argparse
import html
import itertools
import os
import re
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skrnn import RNNClassifier, SequenceTokenizer
from skrnn.inspection import integrated_gradients

REVIEWS = "rt_polarity.tsv.gz"
NETWORK: dict = {"bidirectional": True, "embedding_dim": 64, "learning_rate_init": 0.01}
NOISE: dict = {"dropout": 0.5, "input_dropout": 0.3}
FIT: dict = {"random_state": 0, "n_jobs": -1}
PRAISE, BLAME = "praises", "blames"
EXAMPLES = ["I found the film clever.", "Nobody found the film clever."]


def main():
    """Learn, score, and show what the words contribute."""
    begin = time.perf_counter()
    options = parse_arguments()
    frame = read(options.data)
    print(f"{len(frame):,} sentences of film reviews")
    train, test = train_test_split(
        frame, test_size=0.2, stratify=frame["says"], random_state=0
    )
    words = SequenceTokenizer("word", lowercase=True, min_frequency=2)
    n_epochs = max(4, 10_000 // len(train))
    reader = RNNClassifier(max_iter=n_epochs, **NETWORK, **NOISE, **FIT)
    network = make_pipeline(words, reader)
    pairs = TfidfVectorizer(ngram_range=(1, 2), token_pattern=words.token_pattern)
    linear = make_pipeline(pairs, LogisticRegression(C=10))
    print(f"\n{len(test):,} that were not learned from     accuracy")
    for name, model in {"words and pairs, linear": linear, "network": network}.items():
        model.fit(train["text"], train["says"])
        score = model.score(test["text"], test["says"])
        print(f"{name:33} {100 * score:6.1f} %", flush=True)

    shown = options.reviews or [*test["text"].sample(5, random_state=0), *EXAMPLES]
    print(f"\nWhat {highlight('praises', 1.0)} and what {highlight('blames', -1.0)}\n")
    explained = explain(network, shown)
    for probability, pieces in explained:
        print(f"{probability:4.0%}  {''.join(highlight(*piece) for piece in pieces)}")
    if options.html:
        options.html.write_text(as_html(explained), encoding="utf-8")
        print(f"\nThe same in colours: {options.html}")
    print(f"\nAll in {time.perf_counter() - begin:.0f} s.")


def parse_arguments():
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = os.environ.get("SKRNN_DATA") or Path("..", "shared", "data")
    add = parser.add_argument
    add("reviews", nargs="*", metavar="REVIEW", help="to be read, instead of examples")
    add(
        "--data",
        type=Path,
        default=Path(folder),
        metavar="PATH",
        help=f"as above, or a folder with {REVIEWS} "
        "(default: SKRNN_DATA, or %(default)s)",
    )
    add("--html", type=Path, metavar="FILE", help="write the highlighted reviews there")
    return parser.parse_args()


def read(path):
    """Return a frame of texts and what they say."""
    praise, blame = path / "rt-polarity.pos", path / "rt-polarity.neg"
    file = path / REVIEWS if path.is_dir() else path
    if file.is_file():
        # quoting=3: quotation marks belong to the sentences
        frame = pd.read_csv(
            file, sep="\t", header=None, names=["says", "text"], quoting=3
        )
        frame["says"] = frame["says"].map({1: PRAISE, 0: BLAME})
    elif praise.is_file() and blame.is_file():
        frame = labelled(*(f.read_text("utf-8").splitlines() for f in (praise, blame)))
    else:
        print(f"There are no reviews in {path}: see --help.")
        print("Instead a toy that cannot be told by counting words.")
        frame = labelled(*toy())
    frame["text"] = frame["text"].str.strip()
    return frame.drop_duplicates(ignore_index=True)


def labelled(praise, blame):
    """Return a frame of sentences that praise and sentences that blame."""
    says = [PRAISE] * len(praise) + [BLAME] * len(blame)
    return pd.DataFrame({"says": says, "text": [*praise, *blame]})


def toy():
    """Return sentences that praise and that blame: some openings turn them around."""
    openings = ["i found", "we all found", "the critics called"]
    turning = ["nobody found", "i would not call"]
    things = ["film", "plot", "story", "cast", "script", "end"]
    good = ["clever", "funny", "moving", "fresh", "great", "charming"]
    bad = ["dull", "bad", "silly", "tired", "boring", "empty"]
    praise, blame = [], []
    for opening, thing in itertools.product([*openings, *turning], things):
        up, down = (blame, praise) if opening in turning else (praise, blame)
        up += [f"{opening} the {thing} {word} ." for word in good]
        down += [f"{opening} the {thing} {word} ." for word in bad]
    return praise, blame


def explain(model, reviews):
    """Return for each review its probability of praise, and pairs (piece, weight).

    The pieces make up the text. Weights are between -1 and 1, and 0 between words.
    """
    words, network = model
    contributions = integrated_gradients(
        network, words.transform(reviews), target=PRAISE
    )
    probabilities = model.predict_proba(reviews)[:, list(model.classes_).index(PRAISE)]
    largest = max(np.abs(c).max() for c in contributions)
    explained = []
    for text, probability, values in zip(
        reviews, probabilities, contributions, strict=True
    ):
        pieces, end = [], 0
        found = re.finditer(words.token_pattern, text)
        for word, value in zip(found, values.ravel() / largest, strict=False):
            pieces.append((text[end : word.start()], 0.0))
            pieces.append((text[word.start() : word.end()], float(value)))
            end = word.end()
        explained.append((probability, [*pieces, (text[end:], 0.0)]))
    return explained


def highlight(piece, weight):
    """Return a piece of text in green or red, or in signs where nothing has colours."""
    if abs(weight) < 0.25:
        return piece
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return f"+{piece}+" if weight > 0 else f"-{piece}-"
    bold = ";1" if abs(weight) > 0.6 else ""
    return f"\033[{32 if weight > 0 else 31}{bold}m{piece}\033[0m"


def as_html(explained):
    """Return a page in which a word is the greener the more it praises, or redder."""
    rows = []
    for probability, pieces in explained:
        text = "".join(
            f'<span style="background: rgb({"0 160 0" if weight > 0 else "220 0 0"} / '
            f'{abs(weight):.2f})">{html.escape(piece)}</span>'
            for piece, weight in pieces
        )
        rows.append(f"<tr><td>{probability:.0%}<td>{text}\n")
    return (
        "<!doctype html><meta charset=utf-8><title>Film reviews</title>\n"
        "<p>The probability that a review praises, and what its words contribute\n"
        f"<table>\n{''.join(rows)}</table>\n"
    )


if __name__ == "__main__":
    main()
