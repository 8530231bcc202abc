"""The Yingwei serviceability simulator: an operator's register of lines as a process of its own.

It stands in for the system in the demo and in tests, speaks TMF645 v4 and TMF679 v4, misbehaves as
its dials say, and says of itself that it is a simulator.
"""

from app.serviceability.simulator.dials import Dials
from app.serviceability.simulator.web import (
    BASE_PATH,
    OFFERING_BASE_PATH,
    create_simulator,
    serve,
)

__all__ = ["BASE_PATH", "OFFERING_BASE_PATH", "Dials", "create_simulator", "serve"]
