"""Each step that can be taken offline, one by one: the same becomes of it as online.

One world is built up as a technician's day goes on. At each stage some steps are taken twice, and
taken back in between: by their doorways, and on the reference phone, which pushes them. What is in
all tables afterwards has to be the same.
"""

import functools
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

import app.tables  # noqa: F401 - every table is compared
from app.core.clock import wall
from app.core.db import Base, new_id
from app.overdue.models import Escalation
from app.phone import photos, rules
from app.phone.server import Synced
from app.privacy.queries import exported_rows
from app.privacy.rules.register import ACTIONS_ABOUT_NOBODY, REGISTER
from app.promises.rules import Level
from app.recovery.models import Recovery
from app.retention.models import RetentionCase
from app.sync.rules import STEPS
from app.worktypes.rules import WorkType
from tests.conftest import ROOT
from tests.make.acceptance import another, code_on_telephone
from tests.make.catalog import make_offering
from tests.make.consent import code_told, request_body
from tests.make.customers import make_customer
from tests.make.feasibility import make_install_door
from tests.make.lifecycle import make_lifecycle
from tests.make.phones import make_reference_phone
from tests.make.retention import make_leaver, make_toolkit
from tests.make.terminals import make_terminal
from tests.make.visits import LAT, LON, TODAY, at, make_assigned_order, make_phone

# What sync keeps for itself, what the trail says of how it was asked, and what is no table of ours.
BESIDE = ("sync_", "audit_")
UUIDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What is drawn, or written by the machine's own clock.
WALL = re.compile(rf"{wall():%Y-%m}-\d\dT[\d:.+]+")
DRAWN = {"created_at", "updated_at", "code_hash", "digest", "scheduled_at", "content_hash"}

ALL = " UNION ALL ".join(
    f"SELECT '{name}', to_jsonb(t) FROM \"{name}\" AS t"
    for name in sorted(Base.metadata.tables)
    if not name.startswith(BESIDE)
)
JOBS = "SELECT 'jobs', jsonb_build_object('task', task_name, 'args', args) FROM procrastinate_jobs"


class World:
    """A technician at work, and whatever a step of theirs may be about."""

    def __init__(self, database: Any, tx: Any, door: Any, reference: Any) -> None:
        self.database, self.tx, self.door, self.reference = database, tx, door, reference
        self.paths, self.asks = doorways()
        self.phone = door.phone
        self.order_id, self.visit_id = str(door.order.id), str(door.visit_id)
        self.wrong: dict[str, Any] = {}
        self.taken: set[str] = set()
        self.nobodys: set[str] = set()
        self.stands: list[tuple[str, Any]] | None = None

    async def both(self, step: str, **payload: Any) -> None:
        """Take a step online and take it back, then offline and take it back; compare."""
        answer, told, online, offline = await self.twice(step, payload)
        if answer.is_error or told.stage != "applied":
            self.wrong[step] = (answer.status_code, answer.text, told.stage, told.words_en)
        else:
            self.compare(step, online, offline)

    async def neither(self, step: str, **payload: Any) -> None:
        """The same of a step that is refused: in the same words, and with the same trace of it."""
        answer, told, online, offline = await self.twice(step, payload)
        said = answer.json()
        slug = said.get("type", "").removeprefix("urn:yingwei:problem:")
        words = slug, f"{said.get('title')}: {said.get('detail')}"
        if words != (told.code, told.words_en):
            self.wrong[step] = (answer.status_code, answer.text, told.stage, told.words_en)
        else:
            self.compare(step, online, offline)

    def compare(self, step: str, online: list[str], offline: list[str]) -> None:
        """Note where something else was written, or nothing at all."""
        if online != offline or not online:
            self.wrong[step] = (
                [one for one in online if one not in offline],
                [one for one in offline if one not in online],
            )

    async def twice(self, step: str, payload: dict[str, Any]) -> Any:
        """Give what was answered, what the phone was told, and what either has changed."""
        self.taken.add(step)
        before = self.stands = self.stands or await self.rows()
        known = {found[0] for found in UUIDS.finditer(str((before, payload)))}
        await self.sql("SAVEPOINT before_it")
        answer = await self.online(step, payload)
        online = changed(before, await self.rows(), known)
        await self.sql("ROLLBACK TO SAVEPOINT before_it")
        self.database.cache.clear()
        self.reference.do(step, payload)
        # What is pulled afterwards is other tests' matter, and most of a sync.
        await self.reference.server.push(Synced())
        told = self.reference.store.done()[-1]
        offline = changed(before, await self.rows(), known)
        if not await self.is_theirs() and step not in ACTIONS_ABOUT_NOBODY:
            self.nobodys.add(step)
        await self.sql("ROLLBACK TO SAVEPOINT before_it")
        self.database.cache.clear()
        return answer, told, online, offline

    async def is_theirs(self) -> bool:
        """Tell whether a customer who asks what is kept of them is told of the last action."""
        whose = str(REGISTER["sync_action"].whose).replace("%(customer)s", "c.id")
        last = "id = (SELECT id FROM sync_action ORDER BY id DESC LIMIT 1)"
        theirs = f"SELECT FROM sync_action WHERE ({whose}) AND {last}"
        found = await self.sql(f"SELECT FROM customer AS c WHERE EXISTS ({theirs})")
        return bool(found.all())

    async def online(self, step: str, payload: dict[str, Any]) -> Any:
        """Go through a doorway as an app with a network does."""
        method, path = self.paths[step]
        named = re.findall(r"{(\w+)}", path)
        url = path.format(**payload)
        body = {name: value for name, value in payload.items() if name not in named}
        headers = {**self.phone.headers, "tus-resumable": "1.0.0"}
        if step == "evidence_upload_create":
            headers |= {
                "upload-length": str(body["length"]),
                "upload-metadata": body["metadata"],
            }
            return await self.phone.http.request(method, url, headers=headers)
        if "device_at" in self.asks[step]:
            body["device_at"] = self.phone.clock.now().isoformat()
        return await self.phone.http.request(
            method, url, headers=headers, json=body if body or self.asks[step] else None
        )

    async def ok(self, step: str, **payload: Any) -> Any:
        """Take a step online for good."""
        self.stands = None
        answer = await self.online(step, payload)
        assert answer.is_success, (step, answer.text)
        return answer.json() if answer.content else None

    async def sql(self, statement: str) -> Any:
        """Say something to the one connection there is."""
        return await self.database._connection.execute(text(statement))

    async def rows(self) -> list[tuple[str, Any]]:
        """Read all that is in all tables."""
        found = await self.sql(f"{ALL} UNION ALL {JOBS}")
        return [tuple(row) for row in found]


def changed(before: list[Any], after: list[Any], known: set[str]) -> list[str]:
    """Say what has changed, with ids that were made meanwhile as a question mark."""
    was = {str(row) for row in before}
    said = []
    for name, row in after:
        if str((name, row)) in was:
            continue
        kept = {key: value for key, value in row.items() if key not in DRAWN}
        line = WALL.sub("now", f"{name} {sorted(kept.items(), key=lambda one: one[0])}")
        said.append(UUIDS.sub(lambda found: found[0] if found[0] in known else "?", line))
    return sorted(said)


@functools.cache
def doorways() -> tuple[dict[str, tuple[str, str]], dict[str, set[str]]]:
    """Give method and path of each step, and what its body asks for, from the API's description."""
    paths, asks = {}, {}
    document = json.loads((ROOT / "api_docs" / "openapi.json").read_bytes())
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            if isinstance(said, dict) and said.get("operationId") in STEPS:
                step = said["operationId"]
                paths[step] = method.upper(), path
                content = said.get("requestBody", {}).get("content", {}).get("application/json")
                schema = (content or {}).get("schema", {})
                named = schema.get("$ref", "").rpartition("/")[2]
                shape = document["components"]["schemas"].get(named, schema)
                asks[step] = set(shape.get("properties", {}))
    return paths, asks


@pytest.fixture
async def world(database, tx, app, http, clock, tmp_path):
    door = await make_install_door(tx, app, http, clock)
    # Something has to be worth a contact.
    await tx.execute(text("UPDATE product_offering SET margin_12m_fen = 60000, expert_rate = 0.2"))
    await tx.commit()
    return World(database, tx, door, make_reference_phone(tmp_path, door.phone))


def made(**more: Any) -> dict[str, Any]:
    """What is made gets an id from the phone."""
    return {"id": str(new_id()), **more}


async def test_each_step_offline_is_what_it_is_online(world, tx, app, http, clock):
    w, door = world, world.door
    mine, branch = door.phone.technician, door.branch
    colleague = await make_phone(tx, app, http, clock, org_unit=branch)
    theirs = colleague.technician
    order = {"work_order_id": w.order_id}
    picture = {"requirement": "other", "kind": "photo", "sha256": "0" * 64, **order}

    # --- before setting out -----------------------------------------------------------------------
    elsewhere = await make_customer(tx, org_unit=branch)
    asked_of_me = await make_assigned_order(tx, theirs, elsewhere, now=clock.now())
    await make_terminal(tx, branch, serial_number="MINE", technician_id=mine.id)
    await make_terminal(tx, branch, serial_number="THEIRS", technician_id=theirs.id)
    owing = await make_customer(tx, org_unit=branch)
    tomorrow = TODAY + timedelta(days=1)
    fetching = await make_assigned_order(
        tx, theirs, owing, now=clock.now(), work_type=WorkType.REMOVE, planned_day=tomorrow
    )
    recovery = Recovery(
        org_unit_id=branch.id, customer_id=owing.id, since=clock.now(), due_at=clock.now(),
        work_order_id=fetching.id,
    )  # fmt: skip
    late = Escalation(
        work_order_id=door.order.id, org_unit_id=branch.id, level=Level.TECHNICIAN,
        due_at=clock.now(), rule_code="E1", at=clock.now(), holder_id=mine.id,
    )  # fmt: skip
    toolkit = await make_toolkit(tx)
    await make_offering(tx, code="RENEW-24")
    for customer in (door.customer, owing):
        await make_lifecycle(tx, customer)
    case = RetentionCase(
        org_unit_id=branch.id, customer_id=owing.id, cause="churn_high", handling="call",
        arm="treated", share_percent=10.0, state="open", toolkit_id=toolkit.id,
        decided_at=clock.now(), ask_at=clock.now(), ends_at=clock.now() + timedelta(days=7),
        technician_id=mine.id,
    )  # fmt: skip
    left = await make_customer(tx, org_unit=branch)
    await make_lifecycle(tx, left)
    await make_leaver(tx, left, left_on=TODAY, now=clock.now())
    tx.add_all([recovery, late, case])
    await tx.commit()
    assist = {"work_order_id": str(asked_of_me.id), "assist_id": str(new_id())}
    helping = {"id": assist["assist_id"], "technician": mine.code, "minutes": 30}
    path = f"/work-orders/{asked_of_me.id}/assistants"
    assert (await colleague.http.post(
        f"/v1{path}", json=helping, headers=colleague.headers
    )).status_code == 201  # fmt: skip
    give = {"id": str(new_id()), "serial_number": "THEIRS", "technician_code": mine.code}
    assert (await colleague.post("/terminal-handovers", **give)).status_code == 201

    await w.both("visits_acknowledge", **order)
    await w.both("visits_decline", **order, cause="no_time")
    await w.both("visits_transfer", **order, to=theirs.code, cause="no_time")
    await w.both("visits_ask_assistant", **order, **made(technician=theirs.code, minutes=30))
    await w.both("visits_join_as_assistant", **assist)
    await w.ok("visits_join_as_assistant", **assist)
    await w.both("visits_end_assistant", **assist)
    handed = made(serial_number="MINE", technician_code=theirs.code)
    await w.both("terminals_handovers_give", **handed)
    await w.ok("terminals_handovers_give", **handed)
    await w.both("terminals_handovers_withdraw", handover_id=handed["id"])
    await w.both("terminals_handovers_accept", handover_id=give["id"])
    await w.both("terminals_handovers_decline", handover_id=give["id"])
    counted = [{"serial_number": "MINE", "kind": "ont_gateway"}]
    await w.both("terminals_counts_count", **made(counted=counted))
    await w.both("recoveries_take", recovery_id=str(recovery.id))
    await w.both("escalations_take_mine", escalation_id=str(late.id), note="on my way")
    claim = {"case_id": str(case.id)}
    await w.both("retention_cases_claim", **claim)
    await w.ok("retention_cases_claim", **claim)
    await w.both("retention_cases_outcome", **claim, outcome="unreached")
    leaving = {"left_on": TODAY.isoformat(), "reason": "price", "reachable": True}
    await w.both("former_customers_record", customer_id=str(left.id), **leaving)

    # --- on the way -------------------------------------------------------------------------------
    await w.ok("visits_acknowledge", **order)
    await w.both("visits_hand_back_order", **order, cause="customer_absent")
    setting_out = {**order, **made()}
    await w.both("visits_set_out", **setting_out)
    await w.ok("visits_set_out", **setting_out)
    visit = {"visit_id": setting_out["id"]}
    await w.both("visits_check_in", **visit, point=at(LON, LAT))

    # --- at the door ------------------------------------------------------------------------------
    await w.ok("visits_check_in", **visit, point=at(LON, LAT))
    until = (clock.now() + timedelta(hours=2)).isoformat()
    await w.both("visits_suspend", **visit, cause="customer_postponed", resume_at=until)
    await w.both("visits_hand_back", **visit, cause="customer_refused")
    await w.both("visits_restored", **visit)
    await w.ok("visits_restored", **visit)
    await w.both("visits_keep_progress", **visit, checked=[], note="换了光猫")
    scan = made(action="fitted", serial_number=door.gateway.serial_number)
    await w.both("visits_terminals_scan", **visit, **scan)
    await w.ok("visits_terminals_scan", **visit, **scan)
    await w.both("visits_terminals_undo", **visit, scan_id=scan["id"])
    line = {"service_number": "07318881234", "serial_number": door.gateway.serial_number}
    await w.both("visits_activate", **visit, **made(**line))
    await w.both("visits_activation_override", **visit, **made(cause="platform_down"))
    asked = await http.post(
        f"/v1/visits/{visit['visit_id']}/acceptance-code",
        json=made(),
        headers=w.phone.headers,
    )
    assert asked.is_success, asked.text
    w.stands = None
    code = await code_on_telephone(tx, visit["visit_id"])
    await tx.commit()
    await w.both("visits_check_acceptance_code", **visit, code=code)
    photo = made(**picture)
    announcing = {"length": 1234, "metadata": photos.metadata(photo)}
    await w.both("evidence_upload_create", **announcing)
    await w.ok("evidence_upload_create", **announcing)
    await w.both("evidence_upload_withdraw", upload_id=photo["id"])

    # --- offering and selling ---------------------------------------------------------------------
    customer = {"customer_id": str(door.customer.id)}
    await w.both("customers_personal_offers", **customer, on=False)
    await w.both("customers_do_not_disturb", **customer, on=True)
    await w.both("customers_consent", **customer, **made(channels=["sms"], state="withdrawn"))
    terms = made(
        **customer, kind="retention", offering_code="RENEW-24", discount_percent=5, months=3,
        reason="友商报价更低",
    )  # fmt: skip
    await w.both("special_terms_ask", **terms)
    await w.ok("special_terms_ask", **terms)
    await w.both("special_terms_withdraw", terms_id=terms["id"])
    told = await http.post(f"/v1/visits/{visit['visit_id']}/suggestions", headers=w.phone.headers)
    w.stands = None
    best = told.json()["offers"][0]
    shown = {"suggestion_id": best["suggestion_id"]}
    await w.both("suggestions_answer", **shown, **made(answer="declined", reason="price"))
    await w.both("suggestions_hand_over", **shown, **made(handed_to="account_manager"))
    await w.both(
        "visits_note_prospect", **visit, **made(address="碧波园 3栋", handed_to="shop")
    )  # fmt: skip
    await w.sql("UPDATE customer SET arrears_fen = 12000")
    w.stands = None
    await w.both("visits_remind", **visit, **made())
    await w.sql("UPDATE customer SET arrears_fen = NULL")
    w.stands = None
    sale = made(**visit, items=[{"offering_code": "TV-4K", "quantity": 1}])
    await w.both("sales_put_together", **sale)
    draft = await w.ok("sales_put_together", **sale)
    item = rules.Item("TV-4K", 1, *(draft["items"][0][name] for name in ITEM))
    signed = {
        "kind": "signature", "given_at": clock.now().isoformat(), "image_sha256": "9f" * 32,
        "stroke_sha256": "5c" * 32, "stroke_count": 14,
        "shown_sha256": rules.agreed_hash(sale["id"], customer["customer_id"], [item]),
    }  # fmt: skip
    await w.both("sales_confirm", sale_id=sale["id"], consent=signed)
    asked = request_body()
    answer = await http.post(
        f"/v1/sales/{sale['id']}/consent-requests", json=asked, headers=w.phone.headers
    )
    assert answer.status_code == 201, answer.text
    w.stands = None
    told_to = await code_told(tx, sale["id"])
    await tx.commit()
    by_code = {"kind": "otp", "given_at": clock.now().isoformat(), "request_id": asked["id"]}
    for take, said in ((w.both, told_to), (w.neither, another(told_to))):
        await take("sales_confirm", sale_id=sale["id"], consent={**by_code, "code": said})
    told = await exported_rows(tx, door.customer.id)
    assert {one["kind"] for one in told["message"]} == {"acceptance_code", "consent_code"}
    await w.both("sales_cancel", sale_id=sale["id"])
    await w.ok("sales_confirm", sale_id=sale["id"], consent=signed)
    await w.both("sales_order_change_ask", sale_id=sale["id"], **made(kind="cancel", reason="x"))
    reserved = made(items=[{"offering_code": "WIFI-CHECK"}])
    answer = await http.post(
        f"/v1/visits/{visit['visit_id']}/install-reservations",
        json=reserved,
        headers=w.phone.headers,
    )
    assert answer.status_code == 201, answer.text
    w.stands = None
    await w.both("install_reservations_release", reservation_id=reserved["id"])

    # --- the shift around it ----------------------------------------------------------------------
    shift = made(positions_consent=1)
    await w.both("my_shifts_begin", **shift)
    await w.ok("my_shifts_begin", **shift)
    here = {"at": clock.now().isoformat(), "lon": 112.6, "lat": 28.9, "accuracy_m": 12}
    await w.both("my_positions_report", coordsys="wgs84", points=[here])
    await w.both("my_shifts_consent", shift_id=shift["id"], positions_consent=None)
    await w.both("my_shifts_end", shift_id=shift["id"])

    # --- and leaving ------------------------------------------------------------------------------
    await w.both("visits_complete", **visit, outcome_code="fixed")
    for take, said in ((w.both, code), (w.neither, another(code))):
        await take("visits_complete", **visit, outcome_code="fixed", acceptance_code=said)
    await w.ok("visits_suspend", **visit, cause="customer_postponed", resume_at=until)
    await w.both("visits_resume", **visit)
    assert w.wrong == {}
    assert w.taken == STEPS.keys(), "each step that can be taken offline is taken here"
    assert w.nobodys == set(), "erasing a customer misses them: see app/privacy/rules/register.py"


ITEM = ("monthly_price_fen", "one_off_price_fen", "contract_months")
