"""Verbs of planning: plans asked for, made, compared, published."""
