"""Whether an endpoint lives, and how many calls it is asked at once: rules over what attempts came to. No I/O."""

from __future__ import annotations

from judgebench.backends.adaptive import Adaptive, Outcome
from judgebench.backends.addresses import Address, Addresses
from judgebench.backends.chat_completions import Fault
from judgebench.errors import BackendError

UNPROVEN = 4
"""Calls at once while nothing was ever answered and something failed."""
FAILING = 10
"""Failures in a row, over all calls, from which one call at a time goes out until something is answered."""
GIVEN_UP = 5
"""Calls given up in a row, nothing being answered meanwhile, after which the endpoint is dead."""
BARRED = 20
"""Refusals of the key, or for want of credit, in a row and after answers, from which no further call is made."""
FRESH = 10
"""First tries that must have failed beside them since the last answer; no further call begins then. What the server
fails on item by item piles up towards the end of the work, and is no sign of death."""


class Health:
    """What is known of an endpoint from all attempts so far.

    Args:
        addresses: where it is asked.
        most: calls at once that the user allows.
        model: the endpoint's name of the model, for messages.
        key: what is said of the key in messages; never the key.
    """

    def __init__(self, addresses: Addresses, most: int, *, model: str, key: str) -> None:
        self.addresses, self.hopeless = addresses, ""
        self.alone = True
        """Whether the first call still goes alone."""
        self._adaptive = Adaptive(most)
        self._model, self._key = model, key
        self._answered = False
        self._failing = self._given_up = self._fresh = self._barred = 0

    @property
    def limit(self) -> int:
        """How many calls may be under way."""
        if self.alone or self._failing >= FAILING:
            return 1
        if self._failing and not self._answered:
            return min(UNPROVEN, self._adaptive.limit)
        return self._adaptive.limit

    @property
    def closed(self) -> bool:
        """Whether no further call is to begin until something is answered."""
        return self._fresh >= FRESH

    @property
    def notes(self) -> list[str]:
        """What is to be said of calls that the server did not keep up with."""
        adaptive = self._adaptive
        went = f"{adaptive.least} calls at once were made at times, of {adaptive.most} allowed"
        if adaptive.refusals:
            return [f"the server refused or failed many calls made at once: {went}"]
        return [f"the server did not keep up with more calls at once: {went}"] if adaptive.slowdowns else []

    def refuse_hopeless(self) -> None:
        """Nothing, while a call may still succeed.

        Raises:
            BackendError: none can.
        """
        if self.hopeless:
            raise BackendError(self.hopeless)

    def answered(self, address: Address, began: float, now: float) -> None:
        """Takes note of a reply."""
        self._answered, self.alone = True, False
        self._barred = 0
        self._lives()
        address.works()
        self._adaptive.observe(began, now, "answered")

    def failed(self, address: Address, began: float, now: float, fault: Fault, *, first: bool) -> bool:
        """True where the call can go to another address at once.

        Args:
            address: which was asked.
            began: when.
            now: when it failed.
            fault: how.
            first: whether it was the call's first try.

        Raises:
            BackendError: no call can succeed.
        """
        unreachable = fault.fatal_until == "reached"
        if not unreachable:
            address.reached = True
        if fault.fatal_until == "answered" and self.addresses.dismiss(address, fault.detail):
            return True
        elsewhere = False
        if fault.again:
            outcome: Outcome = "refused" if fault.kind == "refused" else "failed"
            self._failing += outcome == "failed"
            self._fresh += first and outcome == "failed"
            self._adaptive.observe(began, now, outcome)
            if outcome == "failed":
                elsewhere = self.addresses.fails(address, now, unreachable=unreachable)
        else:
            self._lives()
            self._barred += fault.barred
        hopeless = not self.addresses.reached and not elsewhere if unreachable else not self._answered
        hopeless = hopeless or (self._barred >= BARRED and len(self.addresses.all) == 1)
        if fault.fatal_until and hopeless:
            self.hopeless = self._explain(fault)
            raise BackendError(self.hopeless)
        return elsewhere

    def given_up(self, fault: Fault) -> None:
        """Takes note of a call that is asked no more.

        Raises:
            BackendError: the endpoint is dead.
        """
        if not fault.again or fault.kind == "refused":
            return
        self._given_up += 1
        if self._given_up >= GIVEN_UP and self.closed:
            times = f"{self._failing} times in a row, the last of {self._given_up} calls given up with"
            self.hopeless = f"{self._where} has failed {times} {fault.kind}: {fault.detail}; run it again to go on"
            raise BackendError(self.hopeless)

    def _lives(self) -> None:
        """Forgets the failures since the last answer."""
        self._failing = self._given_up = self._fresh = 0

    @property
    def _where(self) -> str:
        return " and ".join(address.url for address in self.addresses.all)

    def _explain(self, fault: Fault) -> str:
        if fault.fatal_until == "reached":
            return f"nobody answers at {self._where}: {fault.detail}"
        if fault.detail.startswith(("401", "403")):
            return f"{self._where} refuses {self._key}: {fault.detail}"
        if fault.detail.startswith("404"):
            about = f"does not know the model {self._model!r}, or is not the API's root (which often ends in /v1)"
            return f"{self._where} {about}: {fault.detail}"
        return f"{self._where} answers no call: {fault.detail}"
