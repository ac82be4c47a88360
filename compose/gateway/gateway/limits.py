"""How much: requests and tokens per minute and day, for each key and for all together, and how many at once.

Tokens are held before the engine is asked and settled by what it says it used; what was held and not used is free again.
"""

import math
import operator
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.errors import Refusal
from gateway.keys import Key
from gateway.settings import Budget, Policy

MINUTE, DAY = 60, 86400
_TOKENS_OUT = 2  # its place in a Use
BUSY_SECONDS = 5  # when to come back to a gateway whose places are taken


class Use(NamedTuple):
    """What a request takes: 1 for itself, tokens of the prompt, tokens of the answer."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


NOTHING, _ONE = Use(), Use(requests=1)


class Window:
    """What was used in the last `seconds`, a sum for each part of a Use.

    A sliding one weighs the window before by the part of it that is still within reach.
    """

    def __init__(self, seconds: int, *, slides: bool) -> None:
        self.seconds, self.slides = seconds, slides
        self.begin = 0  # of the current window
        self.current: list[float] = [0, 0, 0]
        self.previous: list[float] = [0, 0, 0]

    def add(self, use: Use, at: float, now: float) -> None:
        """Add what happened at `at`; a negative amount gives back. What is older than the window before is forgotten."""
        if now >= self.begin + self.seconds:
            self._roll(now)
        if at >= self.begin:
            sums = self.current
        elif at >= self.begin - self.seconds:
            sums = self.previous
        else:
            return
        requests, tokens_in, tokens_out = use
        if requests:
            sums[0] = more if (more := sums[0] + requests) > 0 else 0
        if tokens_in:
            sums[1] = more if (more := sums[1] + tokens_in) > 0 else 0
        if tokens_out:
            sums[2] = more if (more := sums[2] + tokens_out) > 0 else 0

    def wait(self, part: int, amount: float, limit: float, now: float) -> float:
        """Seconds until `amount` more of a part fits under `limit`; 0 when it does now. `amount` alone is not above the limit."""
        if now >= self.begin + self.seconds:
            self._roll(now)
        current, previous = self.current[part], self.previous[part]
        elapsed, room = now - self.begin, limit - amount
        if current + (self._weight(elapsed) * previous) <= room:
            return 0
        if not self.slides:
            return self.seconds - elapsed
        if current <= room:
            return self._until(room - current, previous) - elapsed
        return self.seconds - elapsed + self._until(room, current)

    def _until(self, room: float, amount: float) -> float:
        """Seconds into a window after which no more than `room` of the `amount` of the window before counts."""
        return self.seconds * (1 - room / amount)

    def _weight(self, elapsed: float) -> float:
        return max(0.0, 1 - elapsed / self.seconds) if self.slides else 0

    def _roll(self, now: float) -> None:
        """Begin the window of `now`. A clock that goes back changes nothing until it has caught up."""
        begin = int(now // self.seconds) * self.seconds
        self.previous = self.current if begin == self.begin + self.seconds else [0, 0, 0]
        self.begin, self.current = begin, [0, 0, 0]


class Limit(NamedTuple):
    """At most `amount` of a part of a Use over so many seconds."""

    part: int
    seconds: int
    amount: int


@dataclass
class Account:
    """What one key, or all together, has used (a minute slides, a day is UTC's), and how many of its requests are under way."""

    minute: Window = field(default_factory=lambda: Window(MINUTE, slides=True))
    day: Window = field(default_factory=lambda: Window(DAY, slides=False))
    held: list[int] = field(default_factory=lambda: [0, 0, 0])  # by requests under way, for each part of a Use
    active: int = 0
    key: Key | None = None  # whose limits these are
    limits: tuple[Limit, ...] = ()

    def add(self, use: Use, at: float, now: float) -> None:
        """Count what happened at `at`."""
        self.minute.add(use, at, now)
        self.day.add(use, at, now)

    def hold(self, use: Use, sign: int = 1) -> None:
        """Hold, or with -1 let go."""
        requests, tokens_in, tokens_out = use
        self.held[0] += sign * requests
        self.held[1] += sign * tokens_in
        self.held[2] += sign * tokens_out

    def wait(self, use: Use, limits: tuple[Limit, ...], now: float) -> float:
        """Seconds until all of `use` fits. Raise Refusal (400) when it never will."""
        longest, held = 0.0, self.held
        for part, seconds, limit in limits:
            if amount := use[part]:
                window, wanted = self.minute if seconds == MINUTE else self.day, amount + held[part]
                if wanted + window.current[part] + window.previous[part] <= limit:
                    continue  # nearly always, and wherever in its window this is
                if amount > limit:
                    raise Refusal(400, "larger_than_limit", "This request alone is larger than a limit of its key.")
                wait = window.wait(part, wanted, limit, now) if wanted <= limit else BUSY_SECONDS
                longest = max(longest, wait)
        return longest


class Ticket:
    """One request under way. `settle` once it is over, whatever came of it; again when it turns out otherwise."""

    def __init__(self, accounts: tuple[Account, Account], limiter: "Limiter") -> None:
        self._accounts, self._limiter = accounts, limiter
        self._at, self.reserved, self._settled = limiter.clock(), NOTHING, NOTHING
        self._left = False

    def reserve(self, use: Use) -> None:
        """Hold `use` of every budget. Raise Refusal (400, 429, 503) and hold nothing when one has too little left."""
        self._limiter.check(use, self._accounts)
        for account in self._accounts:
            account.hold(use)
        self.reserved = use if self.reserved is NOTHING else Use(*map(operator.add, self.reserved, use))

    def settle(self, used: Use) -> None:
        """Count what was used in place of what was held, and leave."""
        if not self._left:
            self._left = True
            for account in self._accounts:
                account.hold(self.reserved, -1)
                account.active -= 1
        if used != self._settled:
            now, more = (
                self._limiter.clock(),
                used if self._settled is NOTHING else Use(*map(operator.sub, used, self._settled)),
            )
            for account in self._accounts:
                account.add(more, self._at, now)
            self._settled = used

    def most_out(self, wanted: int) -> int:
        """`wanted` tokens of an answer, or the most that the key can ever ask for."""
        return min([wanted, *(limit.amount for limit in self._accounts[0].limits if limit.part == _TOKENS_OUT)])


class Limiter:
    """The budgets of all keys, under the policy's defaults and its ceiling for all together. `clock` gives seconds of UTC."""

    def __init__(self, policy: Policy, clock: Callable[[], float] = time.time) -> None:
        self._accounts: dict[str, Account] = {}
        self._all, self._unknown = Account(), Window(MINUTE, slides=True)
        self.clock = clock
        self.adopt(policy)

    def adopt(self, policy: Policy) -> None:
        """Take the limits of another policy; what was used stays counted."""
        self._default, self._places = policy.per_key, policy.limits.in_flight + policy.limits.queue
        self._ceiling, self._strangers = _limits(policy.ceiling), policy.limits.strangers_minute
        for account in self._accounts.values():
            account.key = None

    def enter(self, key: Key) -> Ticket:
        """Let a request of a key in and count it. Raise Refusal: 429 for the key's own limits, 503 for everybody's."""
        if (account := self._accounts.get(key.id)) is None:
            account = self._accounts[key.id] = Account()
        if account.key is not key:
            account.key, account.limits = key, _limits(self._default, key.limits)
        concurrency = key.limits.concurrency or self._default.concurrency
        if concurrency is not None and account.active >= concurrency:
            raise Refusal(429, "too_many_at_once", "Too many requests of this key at once.", retry_after=BUSY_SECONDS)
        if self._all.active >= self._places:
            raise busy()
        ticket = Ticket((account, self._all), self)
        ticket.reserve(_ONE)
        account.active += 1
        self._all.active += 1
        return ticket

    def check(self, use: Use, accounts: tuple[Account, Account]) -> None:
        """Raise Refusal when `use` does not fit: 429 for the key, 503 for all together."""
        now, (own, everybody) = self.clock(), accounts
        if seconds := own.wait(use, own.limits, now):
            raise Refusal(429, "limit_reached", "A limit of this key is reached.", retry_after=math.ceil(seconds))
        if seconds := everybody.wait(use, self._ceiling, now):
            raise Refusal(503, "ceiling_reached", "The limit of this host is reached.", retry_after=math.ceil(seconds))

    def stranger(self) -> None:
        """Count a request without a valid key. Raise Refusal (429) for one too many: it shall not fill log and audit."""
        now = self.clock()
        if seconds := self._unknown.wait(0, 1, self._strangers, now):
            raise Refusal(429, "too_many_strangers", "Too many requests without a key.", retry_after=math.ceil(seconds))
        self._unknown.add(_ONE, now, now)

    def restore(self, name: str, use: Use, at: float) -> None:
        """Count what a key used at `at`, before this gateway started."""
        now = self.clock()
        for account in (self._accounts.setdefault(name, Account()), self._all):
            account.add(use, at, now)


def busy() -> Refusal:
    """A 503: every place, in the engine and in the queue, is taken."""
    return Refusal(503, "busy", "Too many requests at once.", retry_after=BUSY_SECONDS)


def _limits(*budgets: Budget) -> tuple[Limit, ...]:
    """The limits that budgets set; a later one's goes before an earlier one's."""
    found = {}
    for budget in budgets:
        for part, name in enumerate(Use._fields):
            for span, seconds in (("minute", MINUTE), ("day", DAY)):
                if (amount := getattr(budget, f"{name}_{span}")) is not None:
                    found[part, seconds] = Limit(part, seconds, amount)
    return tuple(found.values())
