"""What may be offered to whom, in which order and why: gates and ranking, without a database."""

from enum import StrEnum


class AnswerKind(StrEnum):
    """What became of a suggestion."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    LATER = "later"
    NOT_PITCHED = "not_pitched"
