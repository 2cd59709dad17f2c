"""Training of what writes with a growing share of its own predictions as input."""

import numpy as np

from skrnn.training import Trainer


class ScheduledTrainer(Trainer):
    """Scheduled sampling (Bengio et al. 2015), from 0 in the first epoch up to a rate.

    Parameters
    ----------
    rate : float
        The share of targets that give way to predictions in the last epoch.
    n_epochs : int
        In which it rises by equal steps; a single one has the rate itself.
    *args, **kwargs
        Of `Trainer`.
    """

    def __init__(self, rate, n_epochs, *args, **kwargs):
        super().__init__(*args, feedback=np.zeros(1), **kwargs)
        self._rates = iter(np.linspace(0.0, rate, n_epochs))
        if n_epochs == 1:
            self._rates = iter([rate])

    def epoch(self, *args, **kwargs):
        """Pass once over the rows, see `Trainer`."""
        self._feedback[0] = next(self._rates)
        return super().epoch(*args, **kwargs)
