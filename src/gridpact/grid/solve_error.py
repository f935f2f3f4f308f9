"""What a power flow without a solution is reported as."""

from __future__ import annotations

from gridpact.errors import GridpactError


class SolveError(GridpactError):
    """A power flow found no solution: the voltage collapses, or the iteration does not converge."""

    def __init__(self, snapshot: int, share_permille: int, bus: str, vm_pu: float) -> None:
        self.snapshot = snapshot
        self.share_permille = share_permille
        """How much of the snapshot's load and generation still has a solution, 0..999."""
        self.bus = bus
        """Where the voltage is lowest at that share; empty when not even zero has a solution."""
        self.vm_pu = vm_pu
        """The voltage there; NaN when not even zero has a solution."""
        if bus:
            reason = (
                f"the network carries at most {share_permille / 10:.1f} % of its load and "
                f"generation, with {vm_pu:.3f} pu at bus {bus}; lower the load, or strengthen the "
                "way to that bus"
            )
        else:
            reason = "even without any load; check the network's impedances and external grids"
        super().__init__(f"snapshot {snapshot}: the power flow has no solution: {reason}")
