"""The numbers of policies; learning and promotion are one for the whole installation, so those in
force for everybody are read."""

from app.core.i18n import Words
from app.core.parameters import Parameter

LEARN_HOUR = Parameter(
    name="policies.learn_hour",
    default=3,
    unit="h",
    words=Words(zh="每晚几点开始学习推荐策略", en="The local hour at which suggestions learn"),
    most=23,
)
WINDOW_DAYS = Parameter(
    name="policies.window_days",
    default=90,
    unit="days",
    words=Words(zh="学习最近多少天的客户答复", en="How many days of answers are learned from"),
    least=7,
    most=1_000,
)
LEAST_ANSWERS = Parameter(
    # With fewer the expert's rate and what others answered weigh more than the answers, and each
    # of those counts from then on: 50 of either kind took the rarer offers most of a season.
    name="policies.least_answers",
    default=5,
    unit="answers",
    words=Words(
        zh="销售品的接受和拒绝各达到多少次才学习",
        en="Yes and no an offer needs each before it is learned from",
    ),
    least=1,
    most=100_000,
)
TESTED_DAYS = Parameter(
    name="policies.tested_days",
    default=7,
    unit="days",
    words=Words(zh="用最近多少天的答复检验模型", en="The last days by which a new model is tested"),
    least=1,
    most=365,
)
REPLAY_DECISIONS = Parameter(
    name="policies.replay_decisions",
    default=50_000,
    unit="decisions",
    words=Words(zh="回放评估最多使用的决策数", en="Decisions that are replayed at most"),
    least=100,
    most=1_000_000,
)
VALUE_TOLERANCE = Parameter(
    name="policies.value_tolerance",
    default=2,
    unit="%",
    words=Words(
        zh="新策略价值下限可低于现行策略多少",
        en="By how much a policy may be worth less, at the worst, than the one in force",
    ),
    most=100,
)
CALIBRATION_MOST = Parameter(
    name="policies.calibration_most",
    default=0.03,
    unit="probability",
    words=Words(zh="允许的最大校准误差", en="How far predicted chances may be off on average"),
    most=1,
)
GROUP_TOLERANCE = Parameter(
    name="policies.group_tolerance",
    default=20,
    unit="%",
    words=Words(
        zh="任一客户群的接受率或退订率最多变差多少",
        en="By how much a group may accept less or cancel more",
    ),
    most=1_000,
)
GROUP_LEAST = Parameter(
    name="policies.group_least",
    default=200,
    unit="decisions",
    words=Words(zh="客户群至少有多少次决策才评判", en="Decisions a group needs to be judged"),
    least=1,
    most=1_000_000,
)
GROUP_SHOWN_LEAST = Parameter(
    name="policies.group_shown_least",
    default=20,
    unit="visits",
    words=Words(
        zh="客户群每月至少有多少次上门才显示其数据",
        en="Visits in a month from which on it is shown how a group of customers fares",
    ),
    least=1,
    most=1_000_000,
)
EVALUATION_DAYS = Parameter(
    name="policies.evaluation_days",
    default=7,
    unit="days",
    words=Words(zh="评估结果的有效天数", en="How long an evaluation counts"),
    least=1,
    most=365,
)
SECOND_PERSON = Parameter(
    name="policies.second_person",
    default=1,
    unit="yes",
    words=Words(
        zh="策略正式上线是否需要第二人确认（1 是）",
        en="Whether a second person must agree to a live policy (1: yes)",
    ),
    most=1,
)
REFIT_GOES_LIVE = Parameter(
    name="policies.refit_goes_live",
    default=1,
    unit="yes",
    words=Words(
        zh="每晚重新拟合且通过检查的模型是否自动接替（1 是）",
        en="Whether a nightly refit that passes the checks follows the live model (1: yes)",
    ),
    most=1,
)
CANDIDATE_DAYS = Parameter(
    name="policies.candidate_days",
    default=14,
    unit="days",
    words=Words(
        zh="未被采用的候选模型保留多少天", en="How long a candidate nobody takes up stays one"
    ),
    least=1,
    most=365,
)
DRIFT_ODDS = Parameter(
    name="policies.drift_odds",
    default=1.5,
    unit="times",
    words=Words(
        zh="接受几率变化多少倍须警示", en="The change of the odds of a yes that is watched for"
    ),
    least=1.05,
    most=10,
)
DRIFT_ANSWERS = Parameter(
    name="policies.drift_answers",
    default=20_000,
    unit="answers",
    words=Words(
        zh="平均多少次答复容许一次误报", en="Answers in which one wrong alarm is put up with"
    ),
    least=100,
    most=10_000_000,
)
DRIFT_LAST = Parameter(
    name="policies.drift_last",
    default=5_000,
    unit="answers",
    words=Words(zh="漂移监测查看最近多少次答复", en="The last answers that are looked at"),
    least=100,
    most=100_000,
)
CHURN_LEAST = Parameter(
    name="policies.churn_least",
    default=2_000,
    unit="customers",
    words=Words(
        zh="拟合离网评分卡至少需要的已知结果客户数",
        en="Customers of known outcome that a fitted churn card needs",
    ),
    least=100,
    most=100_000_000,
)
CHURN_GAIN = Parameter(
    name="policies.churn_gain",
    default=0.005,
    unit="AUC",
    words=Words(
        zh="拟合卡的 AUC 至少高出多少才替换现行卡",
        en="By how much a fitted churn card must rank better than the one in force",
    ),
    most=0.5,
)
