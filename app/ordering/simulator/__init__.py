"""The Yingwei ordering simulator: another system's TMF622 API (v4 and v5) as a process of its own.

It stands in for the operator's ordering system in the demo and in tests, keeps what it accepted
through any kill, misbehaves as its dials say, and says of itself that it is a simulator.
"""

from app.ordering.simulator.dials import Dials
from app.ordering.simulator.orders import BASE_PATH, BASE_PATH_V5
from app.ordering.simulator.web import create_simulator, serve

__all__ = ["BASE_PATH", "BASE_PATH_V5", "Dials", "create_simulator", "serve"]
