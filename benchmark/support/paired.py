# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""Statistics for interleaved rounds: medians, and paired ratios with 95 % intervals."""

import math
import statistics
from dataclasses import dataclass

# The 97.5 % quantiles of Student's t distribution for 1 to 30 degrees of freedom.
_T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def t_quantile(degrees):
    """The 97.5 % quantile of the t distribution.

    >>> t_quantile(14)
    2.145
    >>> round(t_quantile(60), 3)
    2.0
    """
    if degrees < 1:
        return math.inf
    if degrees <= len(_T_975):
        return _T_975[degrees - 1]
    # The first terms of the expansion in 1/degrees around the normal quantile.
    z = 1.959964
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its 95 % interval."""

    middle: float
    low: float
    high: float


def interval_text(interval, digits=3):
    """How reports print an interval.

    >>> interval_text(Interval(1.0, 0.5, 2.0), 1)
    '1.0 [0.5, 2.0]'
    """
    return f"{interval.middle:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def median_interval(values):
    """The median, with the distribution-free 95 % interval from the order statistics.

    Below six values there is no such interval, and their smallest and largest are given.

    >>> median_interval(range(1, 16))
    Interval(middle=8, low=4, high=12)
    >>> median_interval([3, 1, 2])
    Interval(middle=2, low=1, high=3)
    """
    ordered = sorted(values)
    count = len(ordered)
    below, rank = 0.5**count, 0
    while rank < count // 2 and below <= 0.025:
        rank += 1
        below += math.comb(count, rank) * 0.5**count
    rank = max(rank, 1)
    return Interval(statistics.median(ordered), ordered[rank - 1], ordered[count - rank])


def paired_ratio(values, references):
    """The ratio of values to references, round by round.

    The mean and its interval are taken of the logarithms, for which a ratio and its inverse
    differ only in sign, and are given as ratios.

    >>> paired_ratio([2, 4, 6], [1, 2, 3])
    Interval(middle=2.0, low=2.0, high=2.0)
    """
    logarithms = [math.log(value / reference) for value, reference in zip(values, references, strict=True)]
    mean = statistics.fmean(logarithms)
    if len(logarithms) < 2:
        return Interval(math.exp(mean), 0.0, math.inf)
    half = t_quantile(len(logarithms) - 1) * statistics.stdev(logarithms) / math.sqrt(len(logarithms))
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def median_ratio(values, references):
    """The median of the ratios of the rounds, which one disturbed round cannot move far."""
    return statistics.median(value / reference for value, reference in zip(values, references, strict=True))


def verdict(interval, bound):
    """Whether a ratio is at most `bound`: `holds` and `fails` need the whole interval on one side.

    >>> verdict(Interval(0.95, 0.93, 0.97), 1.0), verdict(Interval(1.0, 0.9, 1.1), 1.0)
    ('holds', 'open')
    """
    if interval.high <= bound:
        return "holds"
    return "fails" if interval.low > bound else "open"


if __name__ == "__main__":
    import doctest
    import sys

    sys.exit(1 if doctest.testmod(verbose=False).failed else 0)
