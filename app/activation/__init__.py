"""Activation: a customer's line is opened by the operator's platform, asked once and answered."""
