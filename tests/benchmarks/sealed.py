"""What it costs that payloads rest encrypted: runs and webhooks with it, against those without in the same run."""

from __future__ import annotations

from tests.benchmarks import runs, webhooks
from tests.benchmarks.measured import Measured
from tests.support import KEY

from hookline.payloads import OPEN, Payloads
from hookline.settings import load


async def payloads_at_rest(dsn: str) -> list[Measured]:
    """3-step runs, and signed webhooks of 18 KB, per second; the floor is what the same does with plain payloads."""
    sealing = Payloads.of(load(encrypt_payloads=True, encryption_keys=KEY))
    plain, cost = await runs.drained(dsn, OPEN)
    sealed, more = await runs.drained(dsn, sealing)
    found = [Measured("3-step runs, encrypted", sealed, "/s", "ratio 0.6", plain, f"{more}; plain {cost}")]
    options = {"HOOKLINE_ENCRYPT_PAYLOADS": "true", "HOOKLINE_ENCRYPTION_KEYS": KEY}
    return [*found, await webhooks.sealed_pushes(dsn, **options)]
