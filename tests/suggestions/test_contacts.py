"""Contacts of all channels: who may speak to a customer, from when on, and what is written down."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.auth.rules import Role
from app.catalog.models import ProductOffering
from app.catalog.rules import BusinessType
from app.core.db import new_id
from app.customers.models import Interaction
from app.customers.rules import Channel, InteractionKind, masked_words
from app.outages.models import Outage
from app.outages.rules import OutageState, PlaceKind
from app.suggestions.models import ContactReservation, ContactSlot, SuggestionDecision
from app.suggestions.rules import HeldBack
from app.suggestions.rules.channels import may_speak
from app.suggestions.rules.contacts import BANS, About, Ledger, ban_of
from app.suggestions.rules.gates import HOLDS
from app.suggestions.rules.leads import LeadTo
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.silence import Silence, Spoken, silence_of, stopped_on
from app.workorders.rules import State
from tests.make.auth import bearer, caller_for, make_account
from tests.make.catalog import make_offering
from tests.make.customers import make_address, make_contact, make_customer
from tests.make.grids import make_grid
from tests.make.retention import lies_in, make_leaver
from tests.make.visits import make_assigned_order
from tests.make.workorders import make_work_order

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
LIMITS = Limits()


def ago(*days: float) -> list[datetime]:
    return [NOW - timedelta(days=each) for each in days]


def day(days_ago: int) -> date:
    return date(2026, 3, 2) - timedelta(days=days_ago)


MESH, LIKE_IT = About("FTTR-2", "home_wifi", LeadTo.PHONE), About("WIFI-2", "home_wifi")
FTTH = About("FTTH-1000", "broadband")
AHEAD = About("PREPAID-12", "broadband", prepaid=True)
# Fibre to the room was declined forty days ago, and something like it ten days ago.
NO = Silence(declined_on={"FTTR-2": day(40)}, declined_group_on={"home_wifi": day(10)})


def ledger(**known) -> Ledger:
    return Ledger(now=NOW, zone=SHANGHAI, **known)


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "code", "allowed_on"),
    [
        ({}, None, None),
        ({"do_not_disturb": True}, "do_not_disturb", None),
        ({"arrears_fen": 0}, None, None),
        ({"arrears_fen": 1}, "arrears", None),
        ({"blacklisted": True}, "blacklisted", None),
        ({"win_back_refused": True}, "win_back_refused", None),
        ({"win_back_refused": True, "about": FTTH}, "win_back_refused", None),
        ({"about": AHEAD, "arrears_fen": 1, "blacklisted": True}, None, None),
        ({"about": FTTH, "arrears_fen": 1}, "arrears", None),
        ({"consented": False}, "no_consent", None),
        ({"fault_open": True}, "not_restored", None),
        ({"faults_at": ago(3, 20)}, "repeat_fault", date(2026, 3, 12)),
        ({"complaint_open": True}, "complaint_open", None),
        ({"complaint_closed_at": NOW - timedelta(days=4)}, "complaint_recent", date(2026, 3, 12)),
        ({"complaint_closed_at": NOW - timedelta(days=14)}, None, None),
        ({"silence": Silence(dissatisfied_on=day(4))}, "dissatisfied", date(2026, 3, 12)),
        ({"silence": Silence(dissatisfied_on=day(14))}, None, None),
        ({"served_today": True}, "served_today", date(2026, 3, 3)),
        ({"sold_at": ago(8)}, None, None),
        ({"sold_at": ago(2)}, "contact_gap", date(2026, 3, 7)),
        ({"sold_at": ago(8, 16, 24)}, "contacts_month", date(2026, 3, 8)),
        ({"sold_at": ago(*range(31, 31 + 12 * 8, 8))}, "contacts_year", date(2026, 11, 3)),
        ({"taken_until": NOW + timedelta(hours=3)}, "slot_taken", date(2026, 3, 2)),
        ({"taken_until": NOW}, None, None),
        ({"silence": Silence(stopped_on=day(40))}, "refused_often", date(2026, 7, 20)),
        ({"silence": Silence(stopped_on=day(180))}, None, None),
        ({"order_pending": True}, "order_pending", None),
        ({"outage": True}, "outage", None),
        # Of an offering: what was answered to it and its like, and who else has it.
        ({"about": MESH, "silence": NO}, "declined_recently", date(2026, 4, 21)),
        ({"about": LIKE_IT, "silence": NO}, "declined_group", date(2026, 3, 22)),
        ({"about": FTTH, "silence": NO}, None, None),
        ({"silence": NO}, None, None),
        (
            {"about": MESH, "silence": Silence(later_on={"FTTR-2": date(2026, 5, 1)})},
            "asked_for_later",
            date(2026, 5, 1),
        ),
        (
            {"about": MESH, "silence": Silence(accepted_on={"FTTR-2": day(29)})},
            "just_accepted",
            date(2026, 3, 3),
        ),
        ({"about": MESH, "leads": {"FTTR-2": LeadTo.SHOP}}, "offered_elsewhere", None),
        ({"about": MESH, "leads": {"FTTR-2": LeadTo.PHONE}}, None, None),
        ({"about": MESH, "leads": {"TV-4K": LeadTo.SHOP}}, None, None),
        # The reason is the first, and the day the last of all.
        ({"served_today": True, "sold_at": ago(2)}, "contact_gap", date(2026, 3, 7)),
        ({"complaint_open": True, "sold_at": ago(2)}, "complaint_open", None),
    ],
)
def test_why_a_channel_may_not_speak_and_from_when_on_it_may(known, code, allowed_on):
    ban = ban_of(ledger(**known), LIMITS)
    assert (ban and ban.code) == code
    until = ban and ban.until
    assert (until and until.astimezone(SHANGHAI).date()) == allowed_on


past = st.lists(st.floats(0, 400).map(lambda days: NOW - timedelta(days=days)), max_size=15)


@given(sold=past, refused=past, closed=st.none() | st.floats(0, 20), served=st.booleans())
@settings(max_examples=60)
def test_from_the_moment_told_on_nothing_forbids_it_and_before_something_does(
    sold, refused, closed, served
):
    known = ledger(
        sold_at=sold,
        silence=silence_of(
            [Spoken(at.date(), "declined", "TV-4K", "tv") for at in sorted(refused)],
            NOW.date(),
            LIMITS,
        ),
        about=About("TV-4K", "tv"),
        complaint_closed_at=None if closed is None else NOW - timedelta(days=closed),
        served_today=served,
    )
    ban = ban_of(known, LIMITS)
    if ban is None:
        return

    def at(moment: datetime) -> Ledger:
        today = moment.astimezone(SHANGHAI).date() == NOW.astimezone(SHANGHAI).date()
        return Ledger(**{**vars(known), "now": moment, "served_today": served and today})

    assert ban.until is not None
    assert ban_of(at(ban.until), LIMITS) is None
    assert ban_of(at(ban.until - timedelta(seconds=1)), LIMITS) is not None


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("Call 13812341234 back", "Call 138****1234 back"),
        ("138-1234-1234", "138****1234"),
        ("FTTH-1000", "FTTH-1000"),
        ("500M 59元", "500M 59元"),
    ],
)
def test_telephone_numbers_within_words_are_masked(words, shown):
    assert masked_words(words) == shown


# --- over HTTP ------------------------------------------------------------------------------------


class Crm:
    """A system that speaks to customers by telephone and message, as a client of the product."""

    def __init__(self, http, headers):
        self.http, self.headers = http, headers

    async def post(self, path, **body):
        return await self.http.post(f"/v1{path}", json=body, headers=self.headers)

    async def get(self, path):
        return await self.http.get(f"/v1{path}", headers=self.headers)

    async def ask(self, customer, slot=None, channel="shop", subject="SPRING"):
        return await self.post(
            f"/customers/{customer.id}/contact-slots",
            id=str(slot or new_id()),
            channel=channel,
            subject=subject,
        )


@pytest.fixture
async def crm(tx, app, http, branch):
    account = await make_account(tx, branch, role=Role.INTEGRATION)
    caller = caller_for(Role.INTEGRATION, branch, account_id=account.id)
    return Crm(http, bearer(app, caller))


async def rows(tx, kind):
    return await tx.scalar(select(func.count()).select_from(kind))


async def test_a_channel_asks_speaks_and_says_so(tx, crm, customer, clock):
    slot = new_id()
    held = await crm.ask(customer, slot)
    assert held.status_code == 200, held.text
    assert held.json()["state"] == "held"
    assert (await crm.ask(customer, slot)).json() == held.json()
    by_code = await crm.post(
        f"/customers/{customer.code}/contact-slots", id=str(slot), channel="shop", subject="SPRING"
    )
    assert by_code.json() == held.json()
    other = await crm.ask(customer, slot, subject="SUMMER")
    assert other.json()["type"].endswith("same-id-other-content")
    clock.tick(timedelta(minutes=5))
    said = {"contacted_at": clock.now().isoformat(), "outcome": "declined"}
    done = await crm.post(f"/contact-slots/{slot}/confirm", **said)
    assert (done.status_code, done.json()["state"]) == (200, "confirmed")
    clock.tick(timedelta(hours=1))
    assert (await crm.post(f"/contact-slots/{slot}/confirm", **said)).json() == done.json()
    otherwise = await crm.post(f"/contact-slots/{slot}/confirm", **{**said, "outcome": "accepted"})
    assert otherwise.json()["type"].endswith("same-id-other-content")
    too_late = await crm.post(f"/contact-slots/{slot}/release")
    assert too_late.json()["type"].endswith("contact-slot-ended")
    assert (await rows(tx, Interaction), await rows(tx, ContactSlot)) == (1, 0)
    listed = (await crm.get(f"/customers/{customer.id}/contacts?size=1")).json()
    (contact,) = listed["contacts"]
    assert (contact["channel"], contact["subject"]) == ("shop", "SPRING")
    assert (contact["outcome"], listed["next_page_token"]) == ("declined", None)
    assert listed["standing"]["reason"] == "contact_gap"
    assert listed["standing"]["sales_in_30_days"] == 1


async def test_who_may_not_speak_now_is_told_why_and_when_and_nothing_is_written(
    tx, crm, customer, clock
):
    await make_contact(tx, customer, at=clock.now() - timedelta(days=2))
    refused = await crm.ask(customer)
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("contact-refused")
    facts = refused.json()["facts"]
    assert (facts["reason"], facts["allowed_on"]) == ("contact_gap", "2026-03-07")
    assert facts["words"] == "The last sales contact is too recent"
    assert (await rows(tx, ContactReservation), await rows(tx, ContactSlot)) == (0, 0)


@pytest.mark.parametrize(("called_before", "refused"), [(11.5, False), (3, True)])
async def test_a_call_and_a_repair_of_another_day_are_a_repeat_fault_on_every_channel(
    tx, crm, customer, branch, clock, called_before, refused
):
    reported = clock.now() - timedelta(days=12)
    await make_work_order(
        tx,
        now=clock.now(),
        org_unit=branch,
        customer_id=customer.id,
        state=State.COMPLETED,
        reported_at=reported,
        completed_at=reported + timedelta(hours=20),
    )
    called = clock.now() - timedelta(days=called_before)
    await make_contact(tx, customer, at=called, kind=InteractionKind.FAULT)
    answer = await crm.ask(customer)
    if not refused:
        assert answer.status_code == 200
        return
    facts = answer.json()["facts"]
    # Thirty days after the repair was reported one of the two no longer counts.
    assert (facts["reason"], facts["allowed_on"]) == ("repeat_fault", "2026-03-20")
    assert (await rows(tx, ContactReservation), await rows(tx, ContactSlot)) == (0, 0)


async def test_a_home_is_spoken_to_as_one_and_a_building_is_no_home(tx, crm, branch, clock):
    first, second = [await make_customer(tx, org_unit=branch) for _ in range(2)]
    third = await make_customer(tx, org_unit=branch)
    await make_address(tx, first)
    await make_address(tx, second, standard_address="澄湖市南浦区碧波路18号 碧波园3栋 2单元1203室")
    await make_address(tx, third, standard_address="澄湖市南浦区碧波路18号碧波园3栋", room=None)
    fourth = await make_customer(tx, org_unit=branch)
    await make_address(tx, fourth, standard_address="澄湖市南浦区碧波路18号碧波园3栋", room=None)
    await make_contact(tx, first, at=clock.now() - timedelta(days=2))
    await make_contact(tx, third, at=clock.now() - timedelta(days=2))
    assert (await crm.ask(second)).json()["facts"]["reason"] == "contact_gap"
    assert (await crm.ask(fourth)).status_code == 200


async def test_a_slot_given_back_or_run_out_is_for_others(tx, crm, customer, clock):
    first, second = new_id(), new_id()
    await crm.ask(customer, first)
    taken = await crm.ask(customer, second)
    assert taken.json()["facts"]["reason"] == "slot_taken"
    assert (await crm.post(f"/contact-slots/{first}/release")).json()["state"] == "released"
    assert (await crm.post(f"/contact-slots/{first}/release")).status_code == 200
    said = {"contacted_at": clock.now().isoformat(), "outcome": "accepted"}
    ended = await crm.post(f"/contact-slots/{first}/confirm", **said)
    assert (ended.status_code, ended.json()["facts"]) == (409, {"state": "released"})
    assert (await crm.ask(customer, second)).status_code == 200
    clock.tick(timedelta(hours=24))
    third = new_id()
    assert (await crm.ask(customer, third)).status_code == 200
    # The second one spoke to them all the same; that is the truth, and the third still holds.
    late = await crm.post(f"/contact-slots/{second}/confirm", **said)
    assert late.json()["state"] == "confirmed"
    assert await tx.scalar(select(ContactSlot.reservation_id)) == third


async def test_a_visit_and_a_channel_do_not_speak_at_the_same_time(
    tx, crm, phone, customer, order, line, catalogue, clock
):
    visit = await phone.restore(order)
    offered = (await phone.post(f"/visits/{visit}/suggestions")).json()["offers"]
    assert offered
    assert (await crm.ask(customer)).json()["facts"]["reason"] == "not_restored"
    await phone.post(
        f"/suggestions/{offered[0]['suggestion_id']}/answer",
        id=str(new_id()),
        answer="not_pitched",
    )
    await phone.complete(visit)
    assert (await crm.ask(customer)).json()["facts"]["reason"] == "served_today"
    clock.tick(timedelta(hours=23))
    assert (await crm.ask(customer)).json()["facts"]["reason"] == "slot_taken"
    clock.tick(timedelta(hours=1))
    assert (await crm.ask(customer)).status_code == 200
    again = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), work_type="care"
    )
    told = (await phone.post(f"/visits/{await phone.arrive(again)}/suggestions")).json()
    assert told["nothing_because"]["code"] == "slot_taken"


async def test_contacts_come_in_pages_masked_and_only_of_ones_own(tx, crm, customer, clock):
    for days in (40, 50, 60):
        at = clock.now() - timedelta(days=days)
        await make_contact(tx, customer, at=at, subject="asked for 13812341234")
    await make_contact(tx, customer, at=clock.now() - timedelta(days=1), kind=InteractionKind.FAULT)
    path = f"/customers/{customer.id}/contacts?size=2"
    first = (await crm.get(path)).json()
    second = (await crm.get(f"{path}&page_token={first['next_page_token']}")).json()
    found = [*first["contacts"], *second["contacts"]]
    assert [one["kind"] for one in found] == ["fault", "sales", "sales", "sales"]
    assert found[1]["subject"] == "asked for 138****1234"
    assert second["next_page_token"] is None
    assert first["standing"]["allowed"] is True
    stranger = await make_customer(tx)
    for answer in (
        await crm.get(f"/customers/{stranger.id}/contacts"),
        await crm.ask(stranger),
        await crm.post(f"/contact-slots/{new_id()}/release"),
    ):
        assert (answer.status_code, answer.json()["facts"]) == (404, {})


async def test_calls_and_messages_want_consent_first(tx, crm, customer):
    for allowed, refused, channel, reason in [
        ([], [], "phone", "no_consent"),
        ([], [], "shop", None),
        (["phone"], [], "sms", "no_consent"),
        (["phone"], ["shop"], "shop", "no_consent"),
        (["phone"], [], "phone", None),
    ]:
        customer.channels_allowed, customer.channels_refused = allowed, refused
        await tx.flush()
        path = f"/customers/{customer.id}/contacts?channel={channel}"
        assert (await crm.get(path)).json()["standing"]["reason"] == reason
    assert (await crm.ask(customer, channel="sms")).json()["facts"]["reason"] == "no_consent"


async def test_only_systems_reserve(app, http, crm, customer, branch):
    for role in (Role.SUPERVISOR, Role.ADMIN):
        someone = Crm(http, bearer(app, caller_for(role, branch)))
        assert (await someone.ask(customer)).status_code == 403
        assert (await someone.get(f"/customers/{customer.id}/contacts")).status_code == 200
    assert (await crm.ask(customer, channel="visit")).status_code == 422


# --- one policy for all channels ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "stopped"),
    [
        ([], None),
        ([0, 100], None),
        # It is the third that stops selling, however old the first one is by then.
        ([0, 100, 179], 179),
        ([0, 100, 180], None),
        ([0, 100, 179, 250], 250),
        ([0, 1, 2, 200, 210], 2),
    ],
)
def test_selling_stops_from_the_day_of_the_third_refusal_on(refused, stopped):
    first = date(2026, 1, 1)
    days = [first + timedelta(days=each) for each in refused]
    assert stopped_on(days, LIMITS) == (stopped and first + timedelta(days=stopped))


def test_every_gate_against_pestering_and_selling_now_binds_the_other_channels_too():
    """What is asked of the door alone: whether it fits the line, and what is said in the visit. The
    lists by which others call know whom a lever is for."""
    door_only = {
        HeldBack.NOT_INVITED,
        HeldBack.OTHER_STAGE,
        HeldBack.USES_MORE,
        HeldBack.FEW_CALLS,
        HeldBack.NO_DEBT,
        HeldBack.ALREADY_HELD,
        HeldBack.REQUIRES_OTHER,
        HeldBack.LINE_UNKNOWN,
        HeldBack.LINE_TOO_SLOW,
        HeldBack.NO_FREE_PORT,
        HeldBack.NEEDS_APPROVAL,
        HeldBack.NOT_FASTER,
        HeldBack.NO_RENEWAL_DUE,
        HeldBack.LINE_FALLS_SHORT,
        HeldBack.NO_NEED,
        HeldBack.NOT_WORTH_A_CONTACT,
        HeldBack.PITCHED_IN_THIS_VISIT,
        HeldBack.SHOWN_IN_THIS_VISIT,
    }
    elsewhere = [code for code, _ in BANS if code is not HeldBack.NO_CONSENT]
    assert elsewhere == [hold.code for hold in HOLDS if hold.code not in door_only]


@pytest.mark.parametrize("business_type", BusinessType)
def test_who_may_speak_of_what_and_on_which_channel(business_type):
    strategic = business_type is BusinessType.STRATEGIC
    for channel in Channel:
        said = may_speak(business_type, channel, by_account_manager=False)
        on_paper = channel in {Channel.SMS, Channel.APP}
        if business_type is BusinessType.SENSITIVE:
            assert said == (channel in {Channel.VISIT, Channel.SHOP})
        elif business_type is BusinessType.RETENTION:
            assert said != on_paper
        else:
            assert said != strategic
        assert may_speak(business_type, channel, by_account_manager=True) or not said
    if strategic:
        assert may_speak(business_type, Channel.PHONE, by_account_manager=True)
    assert not may_speak(BusinessType.SENSITIVE, Channel.PHONE, by_account_manager=True)


async def confirmed(crm, customer, clock, outcome, *, code=None, **more):
    """Reserve, speak and say how it ended."""
    slot = new_id()
    asked = {"id": str(slot), "channel": "shop", "subject": "SPRING", "offering_code": code}
    held = await crm.post(f"/customers/{customer.id}/contact-slots", **asked)
    assert held.status_code == 200, held.text
    said = {"contacted_at": clock.now().isoformat(), "outcome": outcome, **more}
    done = await crm.post(f"/contact-slots/{slot}/confirm", **said)
    assert done.status_code == 200, done.text
    assert (await crm.post(f"/contact-slots/{slot}/confirm", **said)).json() == done.json()
    return slot, said


async def at_the_door(tx, phone, customer, now):
    """Ask at a door what is held back there, and why; the visit ends without a pitch."""
    order = await make_assigned_order(tx, phone.technician, customer, now=now, work_type="care")
    visit = await phone.arrive(order)
    told = (await phone.post(f"/visits/{visit}/suggestions")).json()
    await phone.post(f"/visits/{visit}/hand-back", cause="other")
    return {one["offering_code"]: one["code"] for one in told["held_back"]}


async def test_a_no_on_the_telephone_is_heard_at_the_door(
    tx, crm, phone, customer, line, catalogue, clock
):
    await make_offering(tx, code="TV-8K", category="tv", margin_12m_fen=20_000, expert_rate=0.2)
    slot, said = await confirmed(crm, customer, clock, "declined", code="TV-4K")
    other = await crm.post(f"/contact-slots/{slot}/confirm", **said, offering_code="CAMERA")
    assert other.json()["type"].endswith("same-id-other-content")
    clock.tick(timedelta(days=8))
    door = await at_the_door(tx, phone, customer, clock.now())
    assert (door["TV-4K"], door["TV-8K"]) == ("declined_recently", "declined_group")
    assert door.get("FTTH-1000") is None
    facts = (await tx.scalars(select(SuggestionDecision.facts))).all()[-1]
    assert facts["refusals"] == 1
    await confirmed(crm, customer, clock, "later", code="CAMERA", later_on="2026-05-01")
    clock.tick(timedelta(days=31))
    door = await at_the_door(tx, phone, customer, clock.now())
    assert (door["TV-4K"], door.get("TV-8K")) == ("declined_recently", None)
    assert door["CAMERA"] == "asked_for_later"
    (contact,) = [
        one
        for one in (await crm.get(f"/customers/{customer.id}/contacts")).json()["contacts"]
        if one["outcome"] == "later"
    ]
    assert (contact["offering_code"], contact["later_on"]) == ("CAMERA", "2026-05-01")


async def test_a_no_at_the_door_is_heard_on_every_other_channel(
    tx, crm, phone, customer, order, line, catalogue, clock
):
    visit = await phone.restore(order)
    (best, *_) = (await phone.post(f"/visits/{visit}/suggestions")).json()["offers"]
    await phone.post(
        f"/suggestions/{best['suggestion_id']}/answer",
        id=str(new_id()),
        answer="declined",
        reason="price",
    )
    await phone.complete(visit)
    clock.tick(timedelta(days=31))
    asked = {"channel": "shop", "subject": "SPRING"}
    path = f"/customers/{customer.id}/contact-slots"
    refused = await crm.post(path, id=str(new_id()), offering_code=best["offering_code"], **asked)
    facts = refused.json()["facts"]
    assert (facts["reason"], facts["allowed_on"]) == ("declined_recently", "2026-05-31")
    unknown = await crm.post(path, id=str(new_id()), offering_code="NO-SUCH", **asked)
    assert unknown.json()["facts"]["errors"][0]["field"] == "offering_code"
    assert (await crm.post(path, id=str(new_id()), offering_code="TV-4K", **asked)).is_success


async def test_strategic_business_is_the_account_managers_and_sensitive_is_face_to_face(
    tx, crm, customer, catalogue
):
    await make_offering(tx, code="SIM", category="sim", business_type=BusinessType.SENSITIVE)
    customer.channels_allowed = ["phone", "sms"]
    await tx.flush()
    path = f"/customers/{customer.id}/contact-slots"

    async def asked(code, channel, **more):
        answer = await crm.post(
            path, id=str(new_id()), channel=channel, subject="X", offering_code=code, **more
        )
        if answer.is_success:
            await crm.post(f"/contact-slots/{answer.json()['id']}/release")
            return None
        assert answer.json()["type"].endswith("channel-not-for-offer"), answer.text
        return answer.json()["facts"]["allowed"]

    for channel in ("phone", "sms", "app"):
        assert await asked("SIM", channel) == ["shop", "visit"]
    assert await asked("SIM", "shop") is None
    assert await asked("CARD-2ND", "shop") == ["account_manager"]
    assert await asked("CARD-2ND", "phone", by_account_manager=True) is None
    assert await asked("RENEW-12", "sms") == ["phone", "shop", "visit"]


async def test_what_was_handed_over_is_for_whom_it_was_handed_to(
    tx, crm, phone, customer, order, line, catalogue, clock
):
    customer.channels_allowed = ["phone"]
    visit = await phone.restore(order)
    (best, *_) = (await phone.post(f"/visits/{visit}/suggestions")).json()["offers"]
    offering = await tx.get_one(ProductOffering, catalogue[best["offering_code"]].id)
    offering.business_type = BusinessType.SENSITIVE
    await tx.flush()
    handing = {"id": str(new_id()), "handed_to": "phone", "device_at": clock.now().isoformat()}
    path = f"/suggestions/{best['suggestion_id']}/hand-over"
    refused = await phone.post(path, **handing)
    assert refused.json()["type"].endswith("channel-not-for-offer")
    assert refused.json()["facts"]["allowed"] == ["shop"]
    offering.business_type = BusinessType.SALES
    await tx.flush()
    assert (await phone.post(path, **handing)).status_code == 200
    await phone.complete(visit)
    clock.tick(timedelta(days=8))
    path = f"/customers/{customer.id}/contact-slots"
    asked = {"subject": "X", "offering_code": best["offering_code"]}
    shop = await crm.post(path, id=str(new_id()), channel="shop", **asked)
    assert shop.json()["facts"]["reason"] == "offered_elsewhere"
    assert (await crm.post(path, id=str(new_id()), channel="phone", **asked)).is_success


@pytest.mark.parametrize("kind", ["install", "repair"])
async def test_who_waits_for_an_order_is_sold_nothing_on_any_channel(
    tx, crm, customer, branch, clock, kind
):
    await make_work_order(
        tx, now=clock.now(), org_unit=branch, customer_id=customer.id, work_type=kind
    )
    reason = (await crm.ask(customer)).json()["facts"]["reason"]
    assert reason == {"install": "order_pending", "repair": "not_restored"}[kind]


@pytest.mark.parametrize(
    ("kind", "key", "reached"),
    [
        ("olt_port", "OLT-01/1/3", True),
        ("olt_port", "OLT-01/1/4", False),
        ("olt", "OLT-01", True),
        ("olt", "OLT-0", False),
        ("compound", "{path}|碧波园", True),
        ("compound", "elsewhere.|碧波园", False),
        ("grid", "{grid}", True),
        ("grid", "019cac6d-1c80-7a11-8a55-0c1d5f7b2e90", False),
    ],
)
async def test_nothing_is_sold_where_there_is_an_outage(
    tx, crm, customer, branch, clock, kind, key, reached
):
    grid = await make_grid(tx, org_unit=branch)
    home = await make_address(tx, customer, olt_port="OLT-01/1/3", locality="碧波 园")
    await lies_in(tx, home.id, grid.id)
    outage = Outage(
        org_unit_id=branch.id,
        place_kind=PlaceKind(kind),
        place_key=key.format(path=branch.path, grid=grid.id),
        name="x",
        state=OutageState.CONFIRMED,
        since=clock.now(),
        found_at=clock.now(),
        last_report_at=clock.now(),
    )
    tx.add(outage)
    await tx.flush()
    answer = await crm.ask(customer)
    assert answer.status_code == (409 if reached else 200), answer.text
    if reached:
        assert answer.json()["facts"]["reason"] == "outage"
        outage.state, outage.ended_at = OutageState.CLOSED, clock.now()
        await tx.flush()
        assert (await crm.ask(customer)).status_code == 200


@pytest.mark.parametrize("channel", ["phone", "sms", "shop", "app"])
async def test_who_refused_to_come_back_is_asked_on_no_channel(
    tx, crm, customer, line, catalogue, clock, channel
):
    customer.channels_allowed = ["phone", "sms"]
    line.ended_on = clock.now().date() - timedelta(days=40)
    gone = await make_leaver(
        tx, customer, left_on=line.ended_on, now=clock.now(), refused_at=clock.now()
    )
    path = f"/customers/{customer.id}/contact-slots"

    async def asked(code):
        asking = {"channel": channel, "subject": "WIN-BACK", "offering_code": code}
        return await crm.post(path, id=str(new_id()), **asking)

    for code in (None, "FTTH-1000"):
        refused = await asked(code)
        assert refused.status_code == 409, refused.text
        facts = refused.json()["facts"]
        assert (facts["reason"], facts["allowed_on"]) == ("win_back_refused", "—")
    # Whoever has come back is a customer like any other.
    gone.returned_on = clock.now().date()
    await tx.flush()
    assert (await asked("FTTH-1000")).is_success
