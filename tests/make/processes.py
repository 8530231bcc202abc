"""The API as a process of its own, as it is served in production."""

import asyncio
import contextlib
import sys
from pathlib import Path

import httpx

from app.core.clock import CompressedClock
from app.demo.processes import Process, free_port

READY_SECONDS = 90.0


class Api:
    """One API process; killed and started again, it has the same address.

    Its keys, photos and log are in `folder`; `more` are other variables of its environment.
    """

    def __init__(
        self, database_url: str, clock: CompressedClock, folder: Path, **more: str
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = Process(
            "api",
            [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
            {
                "DATABASE_URL": database_url,
                "YINGWEI_CLOCK": clock.text(),
                "YINGWEI_SIGNING_KEYS": str(folder / "keys"),
                "YINGWEI_EVIDENCE_FOLDER": str(folder / "evidence"),
                "YINGWEI_LOG_LEVEL": "WARNING",
                **more,
            },
            folder / "api.log",
        )

    async def start(self) -> None:
        """Start it, and return when it can serve. Raises RuntimeError where it has ended instead,
        and TimeoutError."""
        self.process.start()
        async with httpx.AsyncClient() as http, asyncio.timeout(READY_SECONDS):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"{self.url}/readyz")).is_success:
                        return
                if not self.process.alive():
                    raise RuntimeError(self.process.tail())
                await asyncio.sleep(0.1)
