"""Tell a surname's language, letter by letter as it is typed.

    python examples/names_to_languages.py [NAME ...] [--data PATH]

A recurrent network reads surnames of 18 languages. It keeps its state after each
letter, so that a name can be read on when the next one comes. The surnames are those of
the folder data/names of github.com/spro/practical-pytorch, a file for each language:
PATH is such a folder, or a CSV file with the columns language and name. Without them,
the network learns from the few in this file: a toy. The first run compiles the network.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

from skrnn import RNNClassifier, SequenceTokenizer

NAMES = "names18.csv.gz"
NETWORK: dict = {"hidden_layer_sizes": 128, "embedding_dim": 64, "dropout": 0.5}
FIT: dict = {"max_iter": 16, "random_state": 0, "n_jobs": -1}
FEW = {
    "English": "Smith Taylor Brown Wilson Walker Wright Thompson White Green Hall Wood "
    "Harris Clarke Jackson Turner Hill Cooper Ward Baker Mitchell Carter Phillips "
    "Parker Edwards Collins Shaw Bennett Hughes Watson Brooks",
    "German": "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz "
    "Hoffmann Schäfer Koch Bauer Richter Klein Wolf Schröder Neumann Schwarz "
    "Zimmermann Braun Krüger Hartmann Lange Krause Lehmann Köhler Herrmann Kaiser",
    "Italian": "Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco "
    "Bruno Gallo Conti Costa Giordano Mancini Rizzo Lombardi Moretti Barbieri Fontana "
    "Santoro Mariani Rinaldi Caruso Ferrara Galli Martini Leone Longo",
    "Japanese": "Sato Suzuki Takahashi Tanaka Watanabe Ito Yamamoto Nakamura Kobayashi "
    "Kato Yoshida Yamada Sasaki Yamaguchi Matsumoto Inoue Kimura Hayashi Shimizu "
    "Yamazaki Mori Abe Ikeda Hashimoto Ishikawa Ogawa Okada Hasegawa Fujita Goto",
    "Polish": "Nowak Kowalski Wiśniewski Wójcik Kowalczyk Kamiński Lewandowski "
    "Zieliński Szymański Woźniak Dąbrowski Kozłowski Jankowski Mazur Wojciechowski "
    "Kwiatkowski Krawczyk Kaczmarek Piotrowski Grabowski Zając Pawłowski Michalski "
    "Król Wieczorek Jabłoński Wróbel Nowakowski Majewski Olszewski",
    "Spanish": "García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez "
    "Martín Jiménez Ruiz Hernández Díaz Moreno Muñoz Álvarez Romero Alonso Gutiérrez "
    "Navarro Torres Domínguez Vázquez Ramos Gil Ramírez Serrano Blanco Molina",
}


def main():
    """Learn, score, and read names letter by letter."""
    begin = time.perf_counter()
    options = parse_arguments()
    frame = read(options.data)
    names, languages = frame["name"], frame["language"]
    print(f"{len(names):,} surnames of {languages.nunique()} languages")
    X_train, X_test, y_train, y_test = train_test_split(
        names, languages, test_size=0.2, stratify=languages, random_state=0
    )
    letters = SequenceTokenizer(min_frequency=2)  # rare letters: as one unknown
    reader = RNNClassifier(**NETWORK, **FIT)
    reader.fit(letters.fit_transform(X_train), y_train)

    told = reader.predict(letters.transform(X_test))
    frequent = np.full(len(y_test), y_train.mode()[0])
    print(f"\n{len(y_test):,} that it has not seen    accuracy   macro F1")
    for who, answers in {"always the most frequent": frequent, "network": told}.items():
        accuracy = (answers == y_test).mean()
        f1 = f1_score(y_test, answers, average="macro")
        print(f"{who:27} {100 * accuracy:6.1f} % {f1:10.3f}")

    shown = pd.Series(y_test.to_numpy(), X_test).sample(4, random_state=0)
    for name, language in dict.fromkeys(options.names, "").items() or shown.items():
        print(f"\n{name} {language and f'({language})'}")
        print_as_typed(name, letters, reader)
    print(f"\nAll in {time.perf_counter() - begin:.0f} s.")


def parse_arguments():
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = os.environ.get("SKRNN_DATA") or Path("..", "shared", "data")
    add = parser.add_argument
    add(
        "names", nargs="*", metavar="NAME", help="to be read; some that are in the data"
    )
    add(
        "--data",
        type=Path,
        default=Path(folder),
        metavar="PATH",
        help=f"as above, or a folder with {NAMES} "
        "(default: SKRNN_DATA, or %(default)s)",
    )
    return parser.parse_args()


def read(path):
    """Return a frame of surnames and their languages, each pair once."""
    files = sorted(path.glob("*.txt"))
    file = path / NAMES if path.is_dir() else path
    if file.is_file():  # "Null" and "Nan" are surnames, not missing values
        frame = pd.read_csv(file, keep_default_na=False)
    elif files:
        lists = {file.stem: file.read_text("utf-8").split("\n") for file in files}
        frame = pairs(lists)
    else:
        print(f"There are no surnames in {path}: see --help. A toy instead.")
        frame = pairs({language: few.split() for language, few in FEW.items()})
    frame["name"] = frame["name"].str.strip()
    # the same pair in both parts of a split would be known in the test
    return frame[frame["name"] != ""].drop_duplicates(ignore_index=True)


def pairs(names_of):
    """Return a frame with a row for each name of each language."""
    rows = [(language, name) for language in names_of for name in names_of[language]]
    return pd.DataFrame(rows, columns=["language", "name"])


def print_as_typed(name, letters, reader):
    """Print the three likeliest languages after each letter."""
    tokens = letters.transform([name])[0]  # (length, 1)
    state = reader.initial_state()
    for t in range(len(tokens)):
        probabilities, state = reader.step(
            tokens[t : t + 1], state, response_method="predict_proba"
        )
        best = probabilities[0].argsort()[::-1][:3]
        shares = (f"{reader.classes_[k]:10} {probabilities[0, k]:4.0%}" for k in best)
        print(f"{name[: t + 1]:16}", "   ".join(shares))


if __name__ == "__main__":
    main()
