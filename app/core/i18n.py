"""Words in the two languages every user-facing sentence of the product has."""

from typing import Literal, NamedTuple

Lang = Literal["zh", "en"]

LANGS: tuple[Lang, ...] = ("zh", "en")


class Words(NamedTuple):
    """One sentence or name in Chinese and in English."""

    zh: str
    en: str

    def say(self, lang: Lang) -> str:
        """Return the words in one language."""
        return self.zh if lang == "zh" else self.en


def pick(accept_language: str | None) -> Lang:
    """Choose the language of an answer from an `Accept-Language` header (RFC 9110, 12.5.4).

    Chinese is the default, since technicians and supervisors are Chinese speakers; English is
    given only to callers who rank it above Chinese.
    """
    best: Lang = "zh"
    best_weight = 0.0
    for part in (accept_language or "").split(",")[:16]:
        tag, _, parameter = part.strip().partition(";")
        language = tag.strip().lower()[:2]
        if language not in LANGS:
            continue
        weight = 1.0
        if parameter.strip().startswith("q="):
            try:
                weight = float(parameter.strip()[2:])
            except ValueError:
                weight = 0.0
        if weight > best_weight:
            best, best_weight = ("zh" if language == "zh" else "en"), weight
    return best
