"""What can be done with a sale: put together, ask for consent, confirm with it, cancel, follow what
the ordering system says of it, take back; and the ledger that tells of all this."""

from app.sales.service.activating import (
    activated,
)
from app.sales.service.asking import (
    AskedFor,
    ask,
    check_code,
)
from app.sales.service.cancelling import (
    ask_to_cancel,
    cancel,
    go_on,
)
from app.sales.service.confirming import (
    confirm,
)
from app.sales.service.following import (
    News,
    follow,
    follow_many,
)
from app.sales.service.installing import (
    call_off_install,
    give_slots_back,
)
from app.sales.service.ledger import (
    Entry,
    enter,
    entered,
)
from app.sales.service.protecting import (
    lapse,
    write_down,
)
from app.sales.service.putting_together import (
    put_together,
)
from app.sales.service.replying import (
    take_reply,
)
from app.sales.service.reversing import (
    item_removed,
    reverse,
    reverse_item,
)
from app.sales.service.setting_right import (
    set_right,
)
from app.sales.service.unattended import (
    confirm_agreed,
    waiting_long,
)

__all__ = [
    "AskedFor",
    "Entry",
    "News",
    "activated",
    "ask",
    "ask_to_cancel",
    "call_off_install",
    "cancel",
    "check_code",
    "confirm",
    "confirm_agreed",
    "enter",
    "entered",
    "follow",
    "follow_many",
    "give_slots_back",
    "go_on",
    "item_removed",
    "lapse",
    "put_together",
    "reverse",
    "reverse_item",
    "set_right",
    "take_reply",
    "waiting_long",
    "write_down",
]
