"""Learn a grammar letter by letter: strings of any length, remembered to the end.

    python examples/reber_grammar.py

The embedded Reber grammar is the classic test of a network's memory: a string such as
BTBTSSXXVVETE is right if it follows the graph below, and if its last letter but one is
the same as its second. Here half of the strings have one letter exchanged, often that
one. Counting groups of letters cannot tell; a plain RNN forgets; LSTM and GRU learn.
"""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skrnn import RNNClassifier, Sequences

LETTERS = "BTPSXVE"
# for each node the letters that lead on, and where to
GRAPH = [
    {"T": 1, "P": 2},
    {"S": 1, "X": 3},
    {"T": 2, "V": 4},
    {"X": 2, "S": 5},
    {"P": 3, "V": 5},
]


def main():
    """Print the accuracy of each model on strings that it has not seen."""
    rng = np.random.default_rng(0)
    right = sorted({embedded_string(rng) for _ in range(4000)})
    wrong = sorted({with_an_error(string, rng) for string in right} - set(right))
    strings = np.array(right + wrong)
    y = np.array(["right"] * len(right) + ["wrong"] * len(wrong))
    lengths = [len(string) for string in strings]
    print(f"{len(strings)} strings of {min(lengths)} to {max(lengths)} letters\n")

    train, test = train_test_split(np.arange(len(y)), stratify=y, random_state=0)
    groups = TfidfVectorizer(analyzer="char", ngram_range=(1, 5), lowercase=False)
    linear = make_pipeline(groups, LogisticRegression(C=10, max_iter=1000))
    linear.fit(strings[train], y[train])
    print(f"groups of letters {linear.score(strings[test], y[test]):8.3f}", flush=True)

    X = Sequences([one_hot(string) for string in strings])
    for cell in ["rnn", "lstm", "gru"]:
        network = RNNClassifier(cell=cell, max_iter=40, random_state=0)
        network.fit(X[train], y[train])
        print(f"{cell:17} {network.score(X[test], y[test]):8.3f}", flush=True)

    print()
    for string in ["BTBTXSETE", "BTBTXSEPE"]:
        print(f"{string} is {network.predict([one_hot(string)])[0]}")


def embedded_string(rng):
    """Return a string that follows the grammar, ends agreeing."""
    end = rng.choice(["T", "P"])
    return f"B{end}{reber_string(rng)}{end}E"


def reber_string(rng):
    """Return the letters of a random walk through the graph."""
    node, letters = 0, ["B"]
    while node < len(GRAPH):
        letter = rng.choice(list(GRAPH[node]))
        letters.append(letter)
        node = GRAPH[node][letter]
    return "".join([*letters, "E"])


def with_an_error(string, rng):
    """Return the string with the end exchanged, or, half the time, another letter."""
    if rng.random() < 0.5:
        return f"{string[:-2]}{'T' if string[-2] == 'P' else 'P'}E"
    place = rng.integers(3, len(string) - 3)
    others = [letter for letter in "TPSXV" if letter != string[place]]
    return string[:place] + rng.choice(others) + string[place + 1 :]


def one_hot(string):
    """Return an array (len(string), 7)."""
    places = [LETTERS.index(letter) for letter in string]
    return np.eye(len(LETTERS), dtype=np.float32)[places]


if __name__ == "__main__":
    main()
