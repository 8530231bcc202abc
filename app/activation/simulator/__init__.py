"""The Yingwei activation simulator: an operator's activation platform as a process of its own.

It stands in for the platform in the demo and in tests, keeps what it opened through any kill,
misbehaves as its dials say, and says of itself that it is a simulator.
"""

from app.activation.simulator.dials import Dials
from app.activation.simulator.web import BASE_PATH, create_simulator, serve

__all__ = ["BASE_PATH", "Dials", "create_simulator", "serve"]
