"""When steps happened: what a technician did hours ago without a signal is told to the server late.

A phone's clock may be wrong, but by the same amount all day. So the step of a local day that came
soonest after its device time tells by how much, and the others' device times are put right by it:
`moment` is never after the server's own time, and differences of moments are the device's own.
"""

# A text of SQL for statements of rooms above: takes `since` and `until`, by the server's time, and
# `steps`, and reads along the index of the events' times. The day before `since` is read as well
# (`fresh` is false), so that what began there is known. `day` is the local day of the moment.
HAPPENED = """
    SELECT told.*, (moment AT TIME ZONE time_zone)::date AS day, at >= :since AS fresh
    FROM (
        SELECT e.id, e.work_order_id, e.technician_id, e.step, e.at, e.device_at, e.facts,
            o.org_unit_id, u.time_zone,
            CASE WHEN e.device_at IS NULL THEN e.at ELSE
                least(e.at, e.device_at + min(e.at - e.device_at) OVER (
                    PARTITION BY e.technician_id, (e.at AT TIME ZONE u.time_zone)::date
                ))
            END AS moment
        FROM work_order_event e
        JOIN work_order o ON o.id = e.work_order_id
        JOIN org_unit u ON u.id = o.org_unit_id
        WHERE e.at >= CAST(:since AS timestamptz) - interval '1 day' AND e.at < :until
            AND e.step = ANY(CAST(:steps AS text[])) AND e.technician_id IS NOT NULL
    ) AS told
"""
