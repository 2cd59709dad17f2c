"""Learning rates over the course of training."""

import math


class Schedule:
    """A learning rate for each update.

    Parameters
    ----------
    name : {"constant", "invscaling", "adaptive", "cosine"}
        As in scikit-learn's ``MLPRegressor``; "cosine" rises in a straight line over
        the first `warmup_fraction` of all updates and then falls to 0 along half a
        cosine (Loshchilov and Hutter 2017).
    initial : float
        ``learning_rate_init``.
    power_t : float
        Exponent of "invscaling".
    n_epochs : int
        Of the whole of training, for "cosine". `begin` says how many updates each has.
    warmup_fraction : float
        Share of them that "cosine" spends rising.
    """

    # "adaptive" divides by this when progress stops, down to the smallest rate
    FACTOR = 5.0
    SMALLEST = 1e-6

    def __init__(self, name, initial, power_t, n_epochs, warmup_fraction):
        self.name = name
        self.initial = initial
        self.power_t = power_t
        self.n_epochs = n_epochs
        self.warmup_fraction = warmup_fraction
        self.reduced = initial
        self.begin(1)

    def begin(self, n_batches):
        """Plan training with so many minibatches in each epoch."""
        self.n_updates = self.n_epochs * n_batches
        self.n_warmup = self.warmup_fraction * self.n_updates

    def rate(self, update, n_samples_seen):
        """Return the rate of a minibatch counted from 0, after so many samples."""
        if self.name == "cosine":
            if update < self.n_warmup:
                return self.initial * (update + 1) / (self.n_warmup + 1)
            left = self.n_updates - self.n_warmup
            progress = min((update - self.n_warmup) / max(left, 1), 1.0)
            return self.initial * 0.5 * (1.0 + math.cos(math.pi * progress))
        if self.name == "invscaling":
            return self.initial / (n_samples_seen + 1) ** self.power_t
        return self.reduced

    @property
    def runs_its_course(self):
        """Whether training ends with the schedule, not when the loss stops falling."""
        return self.name == "cosine"

    def reduce(self):
        """Lower an adaptive rate; return whether training may go on."""
        if self.name != "adaptive" or self.reduced <= self.SMALLEST:
            return False
        self.reduced /= self.FACTOR
        return True
