"""The Yingwei messaging simulator: a messaging provider as a process of its own.

It stands in for the provider in the demo and in tests, where whoever plays a customer reads there
what "their phone" got; it keeps what it took through any kill, misbehaves as its dials say, and
says of itself that it is a simulator.
"""

from app.messaging.simulator.web import BASE_PATH, Dials, create_simulator, serve

__all__ = ["BASE_PATH", "Dials", "create_simulator", "serve"]
