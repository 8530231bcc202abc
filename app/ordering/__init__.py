"""Ordering: every finished sale reaches the operator's ordering system (TMF622) exactly once."""
