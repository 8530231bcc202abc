"""Rules of sync: the cursor, the tables of a phone, verdicts on what was done offline."""

from app.sync.rules.cursor import EPOCHS, NO_CURSOR, Cursor, cursor_of
from app.sync.rules.offers import managers, nothing_of, offer_of
from app.sync.rules.parameters import CLOSED_DAYS, KEPT_DAYS, OFFLINE_HOURS, SALES_DAYS
from app.sync.rules.refusals import AccessRevoked, PhoneTooOld, ResyncNeeded
from app.sync.rules.steps import ONLINE, STEPS, NotCarriedOut, Step, UnknownAction
from app.sync.rules.tables import OLDEST_SCHEMA, SCHEMA_VERSION, TABLES, Kind, Migration, tables_for
from app.sync.rules.verdicts import ActionVerdict, Judgement, judged, verdict_on

__all__ = [
    "CLOSED_DAYS",
    "EPOCHS",
    "KEPT_DAYS",
    "NO_CURSOR",
    "OFFLINE_HOURS",
    "OLDEST_SCHEMA",
    "ONLINE",
    "SALES_DAYS",
    "SCHEMA_VERSION",
    "STEPS",
    "TABLES",
    "AccessRevoked",
    "ActionVerdict",
    "Cursor",
    "Judgement",
    "Kind",
    "Migration",
    "NotCarriedOut",
    "PhoneTooOld",
    "ResyncNeeded",
    "Step",
    "UnknownAction",
    "cursor_of",
    "judged",
    "managers",
    "nothing_of",
    "offer_of",
    "tables_for",
    "verdict_on",
]
