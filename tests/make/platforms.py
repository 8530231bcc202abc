"""Simulators of other systems, served on a port of this machine by a thread of this process."""

import contextlib
import threading
import time
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from app.core.simulating import CuttableProtocol


@contextlib.contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an application; gives its origin."""
    config = uvicorn.Config(
        app, port=0, http=CuttableProtocol, log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, daemon=True)
    serving.start()
    give_up = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < give_up and serving.is_alive(), "the simulator did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        serving.join(10)
