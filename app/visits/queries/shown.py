"""An order as the technician sees who has it in their day, in a list as much as on a phone."""

from datetime import datetime, timedelta
from typing import Any

from app.core.geo import CoordSys, from_wgs84
from app.customers.rules import masked_name, masked_phone
from app.visits.queries.day import DayRow
from app.visits.rules import STEPS, sees_contact
from app.workorders.rules import HELD


def order_facts(row: DayRow, now: datetime, grace: timedelta, coordsys: CoordSys) -> dict[str, Any]:
    """Give an order of somebody's day as plain values: masked unless its customer is shown to them,
    with its point in the system wanted and the steps open to them."""
    state = row.state
    assisting = row.assist_id is not None
    seen = sees_contact(state, row.completed_at, now, grace)
    if assisting and row.assists_since is None:
        seen = False
    point = None
    if row.lon is not None and row.lat is not None:
        lon, lat = from_wgs84(row.lon, row.lat, coordsys)
        point = {"lon": round(lon, 8), "lat": round(lat, 8), "coordsys": coordsys.value}
    name, phone, number = row.contact_name, row.contact_phone, row.service_number
    if not seen:
        name, phone, number = (
            name and masked_name(name),
            phone and masked_phone(phone),
            number and masked_phone(number),
        )
    return {
        "id": row.id,
        "external_id": row.external_id,
        "work_type": row.work_type,
        "state": state,
        "priority": row.priority,
        "customer_id": row.customer_id,
        "masked": not seen,
        "contact_name": name,
        "contact_phone": phone,
        "service_number": number,
        "address": row.address if seen or state in HELD else row.locality,
        "summary": row.summary,
        "point": point,
        "grid_code": row.grid_code,
        "grid_name": row.grid_name,
        "near_border": row.near_border,
        "estimated_minutes": row.estimated_minutes,
        "appointment_from": row.appointment_from,
        "appointment_until": row.appointment_until,
        "due_at": row.due_at,
        "planned_day": row.planned_day,
        "completed_at": row.completed_at,
        "visit_id": row.visit_id,
        "resume_at": row.resume_at,
        "resume_overdue": row.resume_at is not None and row.resume_at < now,
        "restored_at": row.restored_at,
        "repeats": row.repeats,
        "nudges": row.nudges,
        "absences": row.absences,
        "outage_id": row.outage_id,
        "version": row.version,
        "assisting": assisting,
        "assist_id": row.assist_id,
        "allowed": () if assisting else STEPS[state, row.work_type],
    }
