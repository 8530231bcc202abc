"""Alerts: what supervisors have to look at, who took it up, and whom it is told to beside them."""
