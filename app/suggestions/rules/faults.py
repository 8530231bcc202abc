"""How many faults lie behind what was reported of a customer's line."""

from collections.abc import Iterable
from datetime import datetime, timedelta

# Reports that lie no farther apart may all be about one fault.
SAME_FAULT = timedelta(days=1)


def faults_of(reports: Iterable[datetime]) -> list[datetime]:
    """List the faults behind calls and repair orders, each by the moment of its latest report.

    They come in the order of time. A fault is known by a call, by an order or by both, and a call
    tells as much after an order as before it: whoever has to call again on another day about a
    repair that is still to be done has had trouble twice. It is the least number of faults that
    all reports can be about, so that one report more never makes them fewer.
    """
    faults: list[datetime] = []
    for at in sorted(reports, reverse=True):
        if not faults or faults[-1] - at > SAME_FAULT:
            faults.append(at)
    return faults[::-1]
