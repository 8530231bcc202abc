"""What is still missing before an order is complete, judged by its template."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from app.core.errors import Conflict
from app.core.i18n import Words
from app.terminals.rules import TerminalKind
from app.worktypes.rules.checking import ACCEPTANCE, ACTIVATION, TERMINALS
from app.worktypes.rules.templates import (
    Acceptance,
    ClosingCode,
    Limits,
    Measure,
    Outside,
    Recover,
    Template,
)


class Line(StrEnum):
    """How far the activation of the customer's line has come."""

    NOT_ASKED = "not_asked"
    UNDER_WAY = "under_way"
    FAILED = "failed"
    PROVISIONED = "provisioned"
    OVERRIDDEN = "overridden"


@dataclass(frozen=True)
class Done:
    """What has been done for an order so far, in this visit and in those before it.

    `stored` and `announced` count evidence by its requirement's code, with its bytes there and
    still to come; `fitted` are the kinds that were fitted; `left_behind` are serial numbers that
    should have been taken away and still stand at the customer's.
    """

    checked: frozenset[str] = frozenset()
    stored: Mapping[str, int] = field(default_factory=dict)
    announced: Mapping[str, int] = field(default_factory=dict)
    measurements: Mapping[str, float] = field(default_factory=dict)
    fitted: frozenset[TerminalKind] = frozenset()
    left_behind: tuple[str, ...] = ()
    line: Line = Line.NOT_ASKED
    code_accepted: bool = False
    signed: bool = False


class Wanting(StrEnum):
    """What kind of thing is missing, or not as it should be."""

    CHECK = "check"
    EVIDENCE = "evidence"
    MEASUREMENT = "measurement"
    OUT_OF_LIMITS = "out_of_limits"
    FITTED = "terminal_fitted"
    RECOVERED = "terminal_recovered"
    ACTIVATION = "activation"
    ACCEPTANCE = "acceptance"


class Missing(NamedTuple):
    """One thing that keeps an order from being complete, with words for whoever has to do it."""

    wanting: Wanting
    code: str
    words: Words


class Verdict(NamedTuple):
    """What is missing, and what is only to be pointed out."""

    missing: tuple[Missing, ...]
    warnings: tuple[Missing, ...]


class NotComplete(Conflict):
    slug = "not-complete"
    title = Words(zh="工单还不能竣工", en="This order is not complete yet")
    advice = Words(
        zh="还缺 {count} 项，见 missing：补齐后再提交竣工，或挂起、退单。",
        en="{count} things are missing, see missing: add them and complete again, or suspend or "
        "hand back.",
    )


def judge(template: Template, closing: ClosingCode, done: Done) -> Verdict:
    """Say all that an order still lacks to end with a closing code, and what is to be pointed out.

    Measurements are compared in their own units; on a limit is within it.
    """
    asked = _Asked(frozenset(closing.waives))
    missing = [
        *_unchecked(template, done, asked),
        *_unseen(template, done, asked),
        *_unmeasured(template, done, asked),
        *_unmoved(template, done, asked),
        *_not_accepted(template, done, asked),
    ]
    warnings: list[Missing] = []
    for limits, words in _out_of_limits(template, done):
        found = Missing(Wanting.OUT_OF_LIMITS, limits.measure.value, words)
        refused = limits.outside is Outside.REFUSE and asked.of(limits.measure.value)
        (missing if refused else warnings).append(found)
    return Verdict(tuple(missing), tuple(warnings))


class _Asked(NamedTuple):
    waived: frozenset[str]

    def of(self, code: str) -> bool:
        return code not in self.waived


Found = Iterable[Missing]


def _unchecked(template: Template, done: Done, asked: _Asked) -> Found:
    for check in template.checklist:
        if asked.of(check.code) and check.code not in done.checked:
            yield Missing(Wanting.CHECK, check.code, check.words)


def _unseen(template: Template, done: Done, asked: _Asked) -> Found:
    for wanted in template.evidence:
        there = done.stored.get(wanted.code, 0)
        if wanted.may_follow:
            there += done.announced.get(wanted.code, 0)
        if asked.of(wanted.code) and there < wanted.least:
            words = Words(
                zh=f"{wanted.words.zh}（{there}/{wanted.least}）",
                en=f"{wanted.words.en} ({there} of {wanted.least})",
            )
            yield Missing(Wanting.EVIDENCE, wanted.code, words)


def _unmeasured(template: Template, done: Done, asked: _Asked) -> Found:
    for limits in template.measurements:
        code = limits.measure.value
        if limits.required and asked.of(code) and code not in done.measurements:
            yield Missing(Wanting.MEASUREMENT, code, MEASURE_WORDS[limits.measure])


def _out_of_limits(template: Template, done: Done) -> Iterable[tuple[Limits, Words]]:
    for limits in template.measurements:
        value = done.measurements.get(limits.measure.value)
        if value is None:
            continue
        low = limits.least is not None and value < limits.least
        high = limits.most is not None and value > limits.most
        if low or high:
            name = MEASURE_WORDS[limits.measure]
            limit = limits.least if low else limits.most
            yield (
                limits,
                Words(
                    zh=f"{name.zh} {value:g}，{'低于下限' if low else '高于上限'} {limit:g}",
                    en=f"{name.en} {value:g} is {'below' if low else 'above'} {limit:g}",
                ),
            )


def _unmoved(template: Template, done: Done, asked: _Asked) -> Found:
    if not asked.of(TERMINALS):
        return
    for kind in template.fits:
        if kind not in done.fitted:
            yield Missing(
                Wanting.FITTED,
                kind.value,
                Words(zh=f"未扫码安装 {kind.value}", en=f"no {kind.value} was scanned and fitted"),
            )
    if template.recovers is Recover.ALL:
        for serial in done.left_behind:
            yield Missing(
                Wanting.RECOVERED,
                serial,
                Words(zh=f"终端 {serial} 未回收", en=f"terminal {serial} was not taken away"),
            )


def _not_accepted(template: Template, done: Done, asked: _Asked) -> Found:
    if (
        template.activation
        and asked.of(ACTIVATION)
        and done.line not in (Line.PROVISIONED, Line.OVERRIDDEN)
    ):
        yield Missing(Wanting.ACTIVATION, done.line.value, LINE_WORDS[done.line])
    wanted = template.acceptance
    enough = {
        Acceptance.NONE: True,
        Acceptance.CODE: done.code_accepted,
        Acceptance.SIGNATURE: done.signed,
        Acceptance.EITHER: done.code_accepted or done.signed,
    }
    if asked.of(ACCEPTANCE) and not enough[wanted]:
        yield Missing(Wanting.ACCEPTANCE, wanted.value, ACCEPTANCE_WORDS[wanted])


MEASURE_WORDS: dict[Measure, Words] = {
    Measure.OPTICAL_RX_POWER_DBM: Words("光衰（dBm）", "optical power received (dBm)"),
    Measure.DOWNLOAD_MBPS: Words("下行速率（Mbps）", "download speed (Mbit/s)"),
    Measure.UPLOAD_MBPS: Words("上行速率（Mbps）", "upload speed (Mbit/s)"),
    Measure.LATENCY_MS: Words("时延（ms）", "latency (ms)"),
    Measure.WIFI_RSSI_DBM: Words("Wi-Fi 信号强度（dBm）", "Wi-Fi signal (dBm)"),
}
LINE_WORDS: dict[Line, Words] = {
    Line.NOT_ASKED: Words("尚未申请开通激活", "the line's activation was not asked for"),
    Line.UNDER_WAY: Words("开通激活处理中", "the line is being activated"),
    Line.FAILED: Words("开通激活失败", "the line's activation failed"),
    Line.PROVISIONED: Words("已开通", "the line is active"),
    Line.OVERRIDDEN: Words("已注明未激活原因", "it goes without activation, for a stated cause"),
}
ACCEPTANCE_WORDS: dict[Acceptance, Words] = {
    Acceptance.NONE: Words("无需客户验收", "the customer need not accept it"),
    Acceptance.CODE: Words("客户验收码", "the customer's acceptance code"),
    Acceptance.SIGNATURE: Words("客户签名", "the customer's signature"),
    Acceptance.EITHER: Words("客户验收码或签名", "the customer's acceptance code or signature"),
}
