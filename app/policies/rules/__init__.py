"""Rules of policies: what is learned and how well, what it would earn, and who lets it decide."""

from enum import StrEnum

from app.core.errors import Conflict
from app.core.i18n import Words


class EvaluationState(StrEnum):
    """How far an evaluation is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class StepState(StrEnum):
    """How far a step of a model is: the last one needs a second person."""

    WAITING = "waiting"
    DONE = "done"
    WITHDRAWN = "withdrawn"


class PolicyStepRefused(Conflict):
    slug = "policy-step-refused"
    title = Words(zh="该策略当前不能这样变更", en="This policy cannot take that step now")
    advice = Words(
        zh="策略 {version} 当前状态为 {state}；可变更为：{possible}。",
        en="Policy {version} is {state}; from there it can become: {possible}.",
    )


class AnotherThere(Conflict):
    slug = "policy-another-there"
    title = Words(zh="已有另一策略处于该状态", en="Another policy stands there already")
    advice = Words(
        zh="策略 {other} 正处于 {state} 状态；请先将其停用。",
        en="Policy {other} is {state} now; retire it first.",
    )


class NotEvaluated(Conflict):
    slug = "policy-not-evaluated"
    title = Words(zh="该策略尚无近期评估", en="This policy has no recent evaluation")
    advice = Words(
        zh="请先对策略 {version} 发起评估；评估在 {days} 天内有效。",
        en="Ask for an evaluation of policy {version} first; one counts for {days} days.",
    )


class ChecksFailed(Conflict):
    slug = "policy-checks-failed"
    title = Words(zh="该策略未通过上线检查", en="This policy has not passed its checks")
    advice = Words(
        zh="策略 {version} 未通过：{failed}；各项数据见 facts.findings。",
        en="Policy {version} failed: {failed}; facts.findings has the figures of each check.",
    )


class ChurnDecidesNothing(Conflict):
    slug = "policy-is-a-churn-card"
    title = Words(zh="离网评分卡不作为推荐策略上线", en="A churn card is not a policy of offers")
    advice = Words(
        zh="{version} 是离网评分卡：通过检查后由生命周期规则自动采用。",
        en="{version} is a churn card: the lifecycle takes it up by itself where it is better.",
    )
