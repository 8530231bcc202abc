"""Why a command that redraws grids may be refused, beside what is wrong with its geometry."""

from typing import ClassVar

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words


class GridChangedMeanwhile(Conflict):
    slug = "grid-changed-meanwhile"
    title: ClassVar[Words] = Words(
        zh="网格已被他人改动", en="Somebody else has changed this grid meanwhile"
    )
    advice: ClassVar[Words] = Words(
        zh="网格 {code} 现为版本 {version}（{what_zh}）；请刷新后重新预览。",
        en="{code} is at version {version} now ({what_en}); look again and preview anew.",
    )


class GridRetired(Conflict):
    slug = "grid-retired"
    title: ClassVar[Words] = Words(zh="网格已停用", en="This grid has been retired")
    advice: ClassVar[Words] = Words(
        zh="网格 {code} 已于 {retired_at} 停用（{what_zh}）。",
        en="{code} was retired at {retired_at} ({what_en}).",
    )


class GridWithoutGround(Conflict):
    slug = "grid-without-ground"
    title: ClassVar[Words] = Words(zh="网格没有边界", en="This grid has no boundary")
    advice: ClassVar[Words] = Words(
        zh="网格 {code} 目前没有边界，请先为它画出边界。",
        en="{code} has no boundary now; draw one first (reshape).",
    )


class GridCodeTaken(Conflict):
    slug = "grid-code-taken"
    title: ClassVar[Words] = Words(zh="网格编码已被使用", en="This grid code is taken")
    advice: ClassVar[Words] = Words(
        zh="请为新网格换用其他编码：{codes}。", en="Choose other codes for the new grids: {codes}."
    )


class SameGridTwice(Invalid):
    slug = "same-grid-twice"
    title: ClassVar[Words] = Words(zh="同一网格出现了两次", en="A grid is named twice")
    advice: ClassVar[Words] = Words(
        zh="每个网格和每个新编码只能出现一次。", en="Name each grid and each new code once."
    )


class WouldOverlap(Conflict):
    slug = "grids-would-overlap"
    title: ClassVar[Words] = Words(zh="网格之间将出现重叠", en="Grids would overlap")
    advice: ClassVar[Words] = Words(
        zh="将新增重叠 {area_m2} 平方米（与 {others}），上限为 {limit_m2}；请修改边界，"
        "或确认后以 accept_overlap 提交。",
        en="{area_m2} m2 more would be in two grids (with {others}), the limit is {limit_m2}: "
        "draw it again, or send accept_overlap if you mean it.",
    )
