"""Planning's decisions, pure: what a plan is, and what of a day calls for a new one."""

from app.planning.rules.plans import UNDER_WAY, PlanKind, PlanState

__all__ = ["UNDER_WAY", "PlanKind", "PlanState"]
