"""How long a validator's process goes on: until it is asked to end, or something makes it."""

from __future__ import annotations

import asyncio
import signal


class Lifetime:
    """Ends once; the first reason stays."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        """What made it end; None while it goes on, and when it was asked to."""
        self._over = asyncio.Event()

    def end(self) -> None:
        """It was asked to."""
        self._over.set()

    def fail(self, error: Exception) -> None:
        """It cannot go on."""
        self.failure = self.failure or error
        self._over.set()

    def end_on_signals(self) -> None:
        """SIGTERM and SIGINT ask it to."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)

    async def over(self) -> None:
        """Wait for the end.

        Raises:
            Exception: what made it end.
        """
        await self._over.wait()
        if self.failure is not None:
            raise self.failure
