"""Questions in PromQL that several dashboards ask."""

from __future__ import annotations

from .panels import Query

P = 'project=~"$project"'
G = 'program=~"$program"'
# Calls that the store was asked a second time; that something is not there (yet) is asked all the time.
AGAIN = 'labelstream_store_asked_again_total{error!="FileNotFoundError"}'


def rate(selector: str, by: str = "") -> str:
    """Return how often a second a counter rises, summed by labels."""
    summed = f"sum by ({by})" if by else "sum"
    return f"{summed} (rate({selector}[$__rate_interval]))"


def hourly(selector: str, by: str = "") -> str:
    """Return how much a counter rose in the last hour: for what is rare, whose rate would be a comb."""
    summed = f"sum by ({by})" if by else "sum"
    return f"{summed} (increase({selector}[1h]))"


def quantile(share: float, histogram: str, matchers: str = "", by: str = "") -> str:
    """Return the time (or whatever is measured) that a share of the cases stays under."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{{{matchers}}}[$__rate_interval])))"


def mean(histogram: str, matchers: str = "", by: str = "", over: str = "$__rate_interval") -> str:
    """Return the mean of what is measured."""
    summed = f"sum by ({by})" if by else "sum"
    above, below = (f"{summed} (increase({histogram}_{part}{{{matchers}}}[{over}]))" for part in ("sum", "count"))
    return f"{above} / {below}"


def spread(histogram: str, matchers: str = "", by: str = "", name: str = "") -> tuple[Query, ...]:
    """Return the median and the slowest in a hundred."""
    return (
        Query(quantile(0.5, histogram, matchers, by), f"{name} half".strip()),
        Query(quantile(0.99, histogram, matchers, by), f"{name} 99 in 100".strip()),
    )
