"""The process that serves: what it does when it is told to stop."""

import gc
import signal
from typing import Any

from app.cli import serving


def test_a_server_that_is_told_to_stop_ends_its_streams_first(monkeypatch, settings):
    """An answer without an end would keep it waiting."""
    heard = []
    handlers = {
        number: lambda *given, number=number: heard.append(number)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    monkeypatch.setattr("app.cli.serving.Settings", lambda: settings)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(gc, "set_threshold", lambda *given: None)
    monkeypatch.setattr(signal, "getsignal", handlers.get)
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    app: Any = serving.serving()

    class Changes:
        def stop(self):
            heard.append("streams")

    # Nothing is listened to before the application has begun.
    handlers[signal.SIGTERM](signal.SIGTERM, None)
    app.state.changes = Changes()
    handlers[signal.SIGINT](signal.SIGINT, None)
    assert heard == [signal.SIGTERM, "streams", signal.SIGINT]
