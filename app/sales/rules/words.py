"""What the steps of a sale are called, in the order in which they come."""

from app.core.i18n import Words
from app.sales.rules.states import SaleStep

STEP_WORDS: dict[SaleStep, Words] = {
    SaleStep.VISITED: Words(zh="上门签到", en="Checked in at the door"),
    SaleStep.SUGGESTED: Words(zh="系统推荐", en="Suggested"),
    SaleStep.ANSWERED: Words(zh="客户答复", en="The customer answered"),
    SaleStep.PUT_TOGETHER: Words(zh="销售单已生成", en="The sale was put together"),
    SaleStep.CONSENT_ASKED: Words(zh="已请客户确认", en="The customer was asked to agree"),
    SaleStep.LEFT_UNCONFIRMED: Words(
        zh="客户已短信同意，未能自动提交，待人工处理",
        en="The customer agreed by message, and it could not be confirmed by itself",
    ),
    SaleStep.CONSENTED: Words(zh="客户已确认", en="The customer agreed"),
    SaleStep.SECOND_CONFIRMATION_DUE: Words(
        zh="等待二次确认", en="A second confirmation is asked for"
    ),
    SaleStep.SECOND_CONFIRMED: Words(zh="二次确认完成", en="Confirmed a second time"),
    SaleStep.CONFIRMED: Words(zh="销售单已提交", en="The sale was confirmed"),
    SaleStep.INSTALL_ORDERED: Words(
        zh="同次上门安装单已生成", en="Its install in the same visit was ordered"
    ),
    SaleStep.INSTALL_BOOKED: Words(zh="已预约安装时段", en="A slot was booked for its install"),
    SaleStep.INSTALL_NOT_NOW: Words(
        zh="不能同次上门安装，按常规派装", en="It is not installed in this visit, but as always"
    ),
    SaleStep.SENT: Words(zh="已送达订购系统", en="The ordering system has it"),
    SaleStep.ACKNOWLEDGED: Words(zh="订购系统已受理", en="The ordering system acknowledged it"),
    SaleStep.COMMISSION_EARNED: Words(zh="酬金首笔已计", en="The first part of the commission"),
    SaleStep.ACTIVATED: Words(zh="业务已开通", en="The line was opened"),
    SaleStep.COMPLETED: Words(zh="订单已竣工", en="The order was completed"),
    SaleStep.CANCELLING: Words(zh="正在撤单", en="The order is being cancelled"),
    SaleStep.WENT_ON: Words(zh="撤单未成，继续办理", en="It was not cancelled and goes on"),
    SaleStep.REJECTED: Words(zh="订单被拒", en="The order was rejected"),
    SaleStep.CANCELLED: Words(zh="已撤单", en="Cancelled"),
    SaleStep.COMMISSION_KEPT: Words(zh="酬金尾款已计", en="The second part of the commission"),
    SaleStep.ITEM_REVERSED: Words(zh="其中一项已退订", en="One item was taken back"),
    SaleStep.ITEM_REMOVED: Words(
        zh="订购系统已移除该项", en="The ordering system took the item out of the order"
    ),
    SaleStep.REVERSED: Words(zh="已冲正", en="Reversed"),
    SaleStep.COMMISSION_REVERSED: Words(zh="酬金已冲回", en="The commission was taken back"),
    SaleStep.REVERSAL_UNDONE: Words(
        zh="订单并未终止，冲正已撤回", en="The order had not ended: it is not reversed after all"
    ),
    SaleStep.COMMISSION_GIVEN_BACK: Words(zh="酬金已补回", en="The commission was given back"),
    SaleStep.RECONCILED: Words(zh="已对账", en="Reconciled"),
}
# Two steps can have the same moment; they are told in this order.
PLACE_OF = {step: place for place, step in enumerate(STEP_WORDS)}
