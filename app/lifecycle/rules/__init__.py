"""Rules of the lifecycle: stages, value tiers and the risk that a customer leaves."""

from app.lifecycle.rules.words import CardSource, ChangeKind, ChurnClass, Signal, Stage, Tier

__all__ = ["CardSource", "ChangeKind", "ChurnClass", "Signal", "Stage", "Tier"]
