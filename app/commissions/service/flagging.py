"""Looking for sales and months that a person should see; nothing is cut by what is found."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import district_of
from app.commissions import queries
from app.commissions.rules import FlagKind, FlagState, flags, reckoning
from app.core.db import fetched, new_id
from app.core.nights import Night, alone, done_until, last_cut
from app.core.parameter_values import parameters_in_force
from app.workorders.queries import org_units

ZONE = ZoneInfo("Asia/Shanghai")
HOUR = 4
_WORK = "commissions.flags"


async def flag_sales(tx: AsyncSession, paths: Mapping[UUID, str], *, now: datetime) -> None:
    """Flag those of some sales that were made anew for a customer who had given the same back, with
    the whole sale or alone, and those with hardly any time at the door; each is flagged once for
    each. `paths` are the units in which they were sold, by whose numbers it goes."""
    if not paths:
        return
    parameters = await parameters_in_force(tx)
    given = {
        "sales": list(paths),
        "now": now,
        "within": [
            timedelta(days=parameters.number(flags.RESOLD_DAYS, now, path))
            for path in paths.values()
        ],
        "least": [
            timedelta(minutes=parameters.number(flags.LEAST_MINUTES, now, path))
            for path in paths.values()
        ],
    }
    await fetched(tx, _RESOLD, given)
    await fetched(tx, _NO_TIME, given)


_INTO = """
INSERT INTO commission_flag
    (id, kind, technician_id, org_unit_id, sale_id, month, at, facts, state)
"""
_LOCAL_MONTH = "date_trunc('month', %(now)s AT TIME ZONE u.time_zone)::date"
_ASKED = """unnest(%(sales)s::uuid[], %(within)s::interval[], %(least)s::interval[])
    AS asked (sale_id, within, least) JOIN sale s ON s.id = asked.sale_id"""
# An order that the ordering system rejected may well be tried again, and so may what it did not
# deliver of one.
_RESOLD = f"""
{_INTO}
SELECT DISTINCT ON (s.id) gen_random_uuid(), 'resold', s.technician_id, s.org_unit_id, s.id,
       {_LOCAL_MONTH}, %(now)s,
       jsonb_build_object('earlier_sale_id', o.id, 'offering_code', i.offering_code, 'days',
           floor(extract(epoch FROM s.confirmed_at - came_back.at) / 86400)::int),
       'open'
  FROM {_ASKED} JOIN org_unit u ON u.id = s.org_unit_id
  JOIN sale_item i ON i.sale_id = s.id
  JOIN sale o ON o.customer_id = s.customer_id AND o.id <> s.id
   AND o.confirmed_at < s.confirmed_at
  JOIN sale_item before ON before.sale_id = o.id AND before.offering_code = i.offering_code
   AND (before.reversed_at IS NOT NULL OR o.state = 'cancelled'
        OR (o.reversed_at IS NOT NULL AND o.state <> 'rejected'))
 CROSS JOIN LATERAL (
    SELECT coalesce(before.reversed_at, o.reversed_at, o.confirmed_at) AS at) AS came_back
 WHERE came_back.at > s.confirmed_at - asked.within
   AND NOT {queries.NOT_DELIVERED.format(sale_id="o.id", item_id="before.id")}
 ORDER BY s.id, o.confirmed_at DESC, i.position
ON CONFLICT DO NOTHING RETURNING id
"""  # noqa: S608 - text of our own
# By the phone's clock where it is known for both, since an offline phone comes late.
_NO_TIME = f"""
{_INTO}
SELECT gen_random_uuid(), 'no_time_on_site', s.technician_id, s.org_unit_id, s.id,
       {_LOCAL_MONTH}, %(now)s,
       jsonb_build_object('seconds', floor(extract(epoch FROM took.after))::int,
           'least_seconds', extract(epoch FROM asked.least)::int),
       'open'
  FROM {_ASKED} JOIN org_unit u ON u.id = s.org_unit_id JOIN visit v ON v.id = s.visit_id
 CROSS JOIN LATERAL (SELECT CASE
     WHEN s.device_at IS NOT NULL AND v.check_in_device_at IS NOT NULL
     THEN s.device_at - v.check_in_device_at ELSE s.made_at - v.checked_in_at END AS after) AS took
 WHERE took.after < asked.least
ON CONFLICT DO NOTHING RETURNING id
"""  # noqa: S608 - text of our own


async def flag_returns(tx: AsyncSession, *, now: datetime) -> None:
    """Flag once a night, and once a month for each, technicians more of whose sales come back than
    of their district's other people: this month and the two before are counted."""
    cut = last_cut(now, ZONE, HOUR)
    done = await done_until(tx, _WORK)
    if (done is not None and done >= cut) or not await alone(tx, _WORK):
        return
    month = reckoning.month_of(now, ZONE)
    since = reckoning.month_of(
        datetime.combine(month, datetime.min.time(), ZONE) - timedelta(days=35), ZONE
    )
    counted = await queries.returns_by_technician(tx, since)
    units = await org_units(tx, ids={one.org_unit_id for one in counted})
    parameters = await parameters_in_force(tx)
    districts: dict[str, tuple[int, int]] = {}
    for one in counted:
        district = district_of(units.by_id[one.org_unit_id].path)
        sold, returned = districts.get(district, (0, 0))
        districts[district] = sold + one.sold, returned + one.returned
    found = []
    for one in counted:
        path = units.by_id[one.org_unit_id].path
        sold, returned = districts[district_of(path)]
        numbers = flags.Returns(one.sold, one.returned, sold - one.sold, returned - one.returned)
        limits = flags.Limits(
            parameters.number(flags.LEAST_SALES, now, path),
            parameters.number(flags.LEAST_PEER_SALES, now, path),
            parameters.number(flags.LEAST_RETURNS, now, path),
            parameters.number(flags.TIMES_PEERS, now, path),
        )
        if flags.above_peers(numbers, limits):
            found.append((one, numbers))
    given = {
        "ids": [new_id() for _ in found],
        "technicians": [one.technician_id for one, _ in found],
        "units": [one.org_unit_id for one, _ in found],
        "facts": [Jsonb({**vars(numbers), "since": str(since)}) for _, numbers in found],
        "kind": FlagKind.RETURNS_ABOVE_PEERS.value,
        "state": FlagState.OPEN.value,
        "month": month,
        "now": now,
    }
    await fetched(tx, _RETURNS, given)
    await tx.merge(Night(work=_WORK, until=cut, done_at=now, facts={"flagged": len(found)}))


_RETURNS = f"""
{_INTO}
SELECT f.id, %(kind)s, f.technician_id, f.org_unit_id, NULL, %(month)s, %(now)s, f.facts, %(state)s
  FROM unnest(%(ids)s::uuid[], %(technicians)s::uuid[], %(units)s::uuid[], %(facts)s::jsonb[])
    AS f (id, technician_id, org_unit_id, facts)
ON CONFLICT DO NOTHING RETURNING id
"""  # noqa: S608 - text of our own
