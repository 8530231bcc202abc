"""Whether a template makes sense: what no technician could ever meet is refused when it is set."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from app.core.errors import Conflict
from app.core.i18n import Words
from app.worktypes.rules.templates import Template, WorkType

# What a closing code may waive beside the codes of checks, evidence and measurements.
TERMINALS, ACTIVATION, ACCEPTANCE = "terminals", "activation", "acceptance"
PARTS = frozenset({TERMINALS, ACTIVATION, ACCEPTANCE})


class TemplateCodeTaken(Conflict):
    slug = "template-code-taken"
    title = Words(
        zh="该模板编码已用于其他工单类型或组织",
        en="This template code stands for another work type or org unit",
    )
    advice = Words(
        zh="编码 {code} 的各版本须为同一工单类型、同一组织；请换一个编码。",
        en="All versions of {code} are of one work type and one org unit; choose another code.",
    )


class Fault(NamedTuple):
    """What is wrong with a template, and in which field of it."""

    field: str
    words: Words


def faults_of(template: Template) -> list[Fault]:
    """List all that is wrong with a template; an empty list says that it can be set."""
    return [
        *_closing_faults(template),
        *_code_faults(template),
        *_limit_faults(template),
        *_waiver_faults(template),
    ]


def _closing_faults(template: Template) -> Iterator[Fault]:
    if not template.closing_codes:
        yield Fault("closing_codes", Words("至少要有一个竣工代码", "at least one is needed"))
    if template.work_type is WorkType.REPAIR:
        if not any(closing.works_again for closing in template.closing_codes):
            words = Words(
                "至少一个竣工代码须表示业务已恢复",
                "of a repair at least one says that the service works again",
            )
            yield Fault("closing_codes", words)
        return
    for place, closing in enumerate(template.closing_codes):
        if closing.works_again:
            words = Words("仅修障可填业务已恢复", "only a repair makes a service work again")
            yield Fault(f"closing_codes.{place}.works_again", words)


def _code_faults(template: Template) -> Iterator[Fault]:
    # They share one name space, since a closing code waives each by its code alone.
    codes = [
        *((f"checklist.{place}.code", one.code) for place, one in enumerate(template.checklist)),
        *((f"evidence.{place}.code", one.code) for place, one in enumerate(template.evidence)),
        *(
            (f"measurements.{place}.measure", one.measure.value)
            for place, one in enumerate(template.measurements)
        ),
    ]
    yield from _twice(codes, taken=PARTS)
    closing = enumerate(template.closing_codes)
    yield from _twice((f"closing_codes.{place}.code", one.code) for place, one in closing)
    for name in ("skills", "needs", "fits"):
        given = enumerate(getattr(template, name))
        yield from _twice((f"{name}.{place}", str(one)) for place, one in given)


def _twice(
    codes: Iterable[tuple[str, str]], taken: frozenset[str] = frozenset()
) -> Iterator[Fault]:
    known: set[str] = set(taken)
    for field, code in codes:
        if code in known:
            words = Words(f"编码 {code} 重复", f"{code} is there already, or has a meaning here")
            yield Fault(field, words)
        known.add(code)


def _limit_faults(template: Template) -> Iterator[Fault]:
    for place, limits in enumerate(template.measurements):
        if limits.least is not None and limits.most is not None and limits.least > limits.most:
            words = Words("下限高于上限", "the lower limit is above the upper one")
            yield Fault(f"measurements.{place}.least", words)


def _waiver_faults(template: Template) -> Iterator[Fault]:
    known = {
        *PARTS,
        *(check.code for check in template.checklist),
        *(wanted.code for wanted in template.evidence),
        *(limits.measure.value for limits in template.measurements),
    }
    for place, closing in enumerate(template.closing_codes):
        for nth, code in enumerate(closing.waives):
            if code not in known:
                words = Words(f"模板中没有 {code}", f"the template asks for no {code}")
                yield Fault(f"closing_codes.{place}.waives.{nth}", words)
