"""The bytes of a clearing certificate: they are on ledgers and never change their meaning."""

from __future__ import annotations

from collections.abc import Callable

from tests.microgrid_cases import one_hour, two_hours

from gridpact.codec import encode
from gridpact.market.integer.microgrids import certificate_of
from gridpact.model import Certificate


def test_certificates_by_hand(golden: Callable[[str, str], None]) -> None:
    lines = []
    for name, case in (("one hour", one_hour()), ("two hours", two_hours())):
        certificate = certificate_of(case.window, case.together, case.alone, [1, 1])
        lines.append(f"# {name}")
        for field in Certificate.__struct_fields__:
            value = getattr(certificate, field)
            lines.append(f"{field}: {value.hex() if isinstance(value, bytes) else value}")
        lines.append(f"encoded: {encode(certificate).hex()}")
    golden("certificate.txt", "\n".join(lines) + "\n")
