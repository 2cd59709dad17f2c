"""New text: tokens drawn one after the other, and put together up to a stop."""

import numpy as np

from skrnn.text.documents import BOUNDARY
from skrnn.text.sampling import draw_tokens
from skrnn.text.tokenizer import UNKNOWN


def draw(model, beginnings, length, closes, random_state, **options):
    """Yield the next token of each text, drawn by its probability.

    Parameters
    ----------
    model : NextToken
    beginnings : list of ndarray of intp
        The tokens that each begins with.
    length : int
        Tokens to draw at most.
    closes : bool
        Whether texts may end before.
    random_state : numpy.random.RandomState
    **options
        Of `draw_tokens`.

    Yields
    ------
    tokens : ndarray of intp of shape (n_texts,)
        BOUNDARY where a text has ended.
    """
    parts = [model.begin(ids) for ids in beginnings]
    hidden, state = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    going = np.ones(len(beginnings), bool)
    for _ in range(length):
        logs = model.log_probabilities(hidden)
        logs[:, UNKNOWN] = -np.inf
        if not closes:
            logs[:, BOUNDARY] = -np.inf
        tokens = draw_tokens(logs, random_state, **options)
        tokens[~going] = BOUNDARY
        going &= tokens != BOUNDARY
        yield tokens
        if not going.any():
            return
        hidden, state = model.advance(tokens, state)


def written(drawn, strings, between, begun, stops):
    """Yield for each text what is sure to come next.

    Parameters
    ----------
    drawn : iterable of ndarray of intp of shape (n_texts,)
        The next token of each text.
    strings : sequence of str
        Of each token.
    between : str
        What stands between two tokens.
    begun : list of bool
        Whether a text has a token already.
    stops : list of str
        A text ends before the first of these.

    Yields
    ------
    pieces : list of str
        Empty where a text has ended, or may be about to.
    """
    n, held_back = len(begun), max((len(stop) - 1 for stop in stops), default=0)
    pending, begun, ended = [""] * n, list(begun), [False] * n
    for tokens in drawn:
        pieces = [""] * n
        for i, token in enumerate(tokens.tolist()):
            if ended[i] or token == BOUNDARY:
                continue
            text = pending[i] + (between if begun[i] else "") + strings[token]
            begun[i] = True
            found = [text.find(stop) for stop in stops if stop in text]
            ended[i] = bool(found)
            sure = min(found) if found else max(len(text) - held_back, 0)
            pieces[i], pending[i] = text[:sure], "" if found else text[sure:]
        yield pieces
        if all(ended):
            return
    yield pending
