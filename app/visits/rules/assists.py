"""Two technicians on one order: one holds it and takes the steps, the other helps."""

from app.core.errors import Conflict
from app.core.i18n import Words


class NothingToAssist(Conflict):
    slug = "nothing-to-assist-with"
    title = Words(zh="工单无人持有，不能请人协助", en="Nobody holds this order, so nobody can help")
    advice = Words(
        zh="工单现为 {state}；请先派给一位装维人员。",
        en="It is {state}; give it to a technician first.",
    )


class AssistsAlready(Conflict):
    slug = "assists-already"
    title = Words(zh="该同事已在协助此工单", en="This colleague assists with the order already")
    advice = Words(
        zh="协助编号 {assist_id}；如需改时长请先结束它。",
        en="It is the assist {assist_id}; end that first to change its minutes.",
    )


class AssistEnded(Conflict):
    slug = "assist-ended"
    title = Words(zh="协助已结束", en="This assist has ended")
    advice = Words(
        zh="已于 {ended_at} 结束；如仍需协助请重新发起。",
        en="It ended at {ended_at}; ask anew if help is still wanted.",
    )
