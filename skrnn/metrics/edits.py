"""How many edits turn one sequence of numbers into another."""

from skrnn._jit import kernel


@kernel
def edit_distances(a, a_ends, b, b_ends, row, distances):
    """Count the insertions, deletions and substitutions between pairs of sequences.

    By the recursion of Wagner and Fischer (1974), a row at a time.

    Parameters
    ----------
    a, b : ndarray of int
        Sequences, end to end.
    a_ends, b_ends : ndarray of int of shape (n_pairs,)
    row : ndarray of int
        Scratch: a place more than the longest sequence of `b` has.
    distances : ndarray of int of shape (n_pairs,)
        To be filled.
    """
    a_start = b_start = 0
    for pair in range(len(distances)):
        n = b_ends[pair] - b_start
        for j in range(n + 1):
            row[j] = j
        for i in range(a_start, a_ends[pair]):
            before = row[0]  # of the row above, one to the left
            row[0] += 1
            for j in range(n):
                substituted = before + (a[i] != b[b_start + j])
                before = row[j + 1]
                row[j + 1] = min(substituted, before + 1, row[j] + 1)
        distances[pair] = row[n]
        a_start, b_start = a_ends[pair], b_ends[pair]
