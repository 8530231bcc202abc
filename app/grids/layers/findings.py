"""What was found in a layer and where; and the refusals of a file as a whole."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from app.core.errors import Problem
from app.core.i18n import Lang, Words
from app.grids.layers.codes import NOTES, Code


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found at one place; `path` is a JSON Pointer (RFC 6901) into the file."""

    code: Code
    path: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def refuses(self) -> bool:
        """Tell a reason for refusing from a note."""
        return self.code not in NOTES

    def say(self, lang: Lang) -> str:
        """Say in one language what is the matter and what to do."""
        return self.code.words.say(lang).format_map(self.facts)

    def plain(self) -> dict[str, Any]:
        """Give the finding in JSON's own types, with both languages, to be kept or sent."""
        words = {"zh": self.say("zh"), "en": self.say("en")}
        return {"code": self.code.value, "path": self.path, "facts": self.facts, **words}


class LayerRefused(Problem):
    """The file as a whole cannot be read; nothing of it was taken."""

    slug, status = "layer-refused", 422
    title: ClassVar[Words] = Words(zh="图层文件无法导入", en="The layer cannot be imported")

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(code=finding.code, path=finding.path, **finding.facts)

    def detail(self, lang: Lang) -> str:
        """Say what is the matter with the file and what to do."""
        return self.finding.say(lang)


class LayerTooLarge(LayerRefused):
    """The file is larger than the settings allow."""

    slug, status = "layer-too-large", 413
    title: ClassVar[Words] = Words(zh="图层文件过大", en="The layer is too large")


class LayerTangled(Problem):
    """The boundaries are so entangled that comparing them would not end in time."""

    slug, status = "layer-tangled", 422
    title: ClassVar[Words] = Words(zh="边界重叠过多", en="Too much lies over each other")
    advice: ClassVar[Words] = Words(
        zh="约 {meetings} 对边或网格相互重叠，无法逐一比较；请检查图层是否重复叠放，或重新绘制。",
        en="Some {meetings} pairs of edges or grids lie over each other, too many to compare; "
        "look for layers laid over each other, or draw them again.",
    )
