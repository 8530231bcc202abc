"""The Yingwei real-name simulator: a system that checks documents, as a process of its own.

It stands in for the operator's in the demo and in tests. It keeps no number and no name, only what
it said under which key, misbehaves as its dials say, and says of itself that it is a simulator.
"""

from app.real_name.simulator.web import BASE_PATH, Dials, create_simulator, serve

__all__ = ["BASE_PATH", "Dials", "create_simulator", "serve"]
