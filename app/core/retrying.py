"""How long to wait before something is tried again. Pure."""

from datetime import timedelta


def wait(
    tries: int,
    *,
    first: timedelta,
    longest: timedelta,
    luck: float,
    asked: timedelta | None = None,
    longest_asked: timedelta = timedelta(hours=1),
) -> timedelta:
    """Say how long to wait after so many tries: twice as long each time, and up to half as much
    again by luck (0 to 1), so that what failed together is not tried again together.

    What the other side `asked` for is kept to, up to a limit.
    """
    # The exponent is bounded so that a patient setting cannot overflow a timedelta.
    delay = min(first * 2.0 ** min(max(tries, 1) - 1, 20), longest) * (1 + luck / 2)
    return delay if asked is None else max(delay, min(asked, longest_asked))
