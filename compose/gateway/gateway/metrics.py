"""Counters for Prometheus, on a port of their own: which requests came to what, never whose or with what in it.

Labels are bounded: routes of the policy, statuses, and the codes that this program knows. Counting is an addition to a dictionary;
all the rest happens when somebody asks.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import start_http_server

from gateway.exchange import Exchange

SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0)
# What an alert is made of is 0 from the start: of a counter that is born at 40, Prometheus sees no increase.
WATCHED = (
    "invalid_key", "key_expired", "key_revoked", "too_many_strangers", "limit_reached", "too_many_at_once", "ceiling_reached", "busy",
    "audit_unavailable", "models_unverified", "engine_unavailable", "engine_failed", "engine_timeout", "internal_error", "answer_cut",
    "rag_unavailable",
)  # fmt: skip


class Times:
    """How many requests took how long, for each route."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._counts: dict[str, list[int]] = {}
        self._sums: Counter[str] = Counter()

    def add(self, route: str, seconds: float) -> None:
        """Count one."""
        counts = self._counts.setdefault(route, [0] * (len(SECONDS) + 1))
        counts[bisect_left(SECONDS, seconds)] += 1
        self._sums[route] += seconds  # type: ignore[assignment]

    def family(self) -> Metric:
        """As Prometheus wants it: cumulative."""
        family = HistogramMetricFamily(self._name, self._text, labels=["route"])
        for route, counts in self._counts.items():
            sums = [sum(counts[: place + 1]) for place in range(len(counts))]
            names = [*(f"{limit:g}" for limit in SECONDS), "+Inf"]
            family.add_metric([route], list(zip(names, sums, strict=True)), self._sums[route])
        return family


class Metrics:
    """What was counted since the start. `gauges` are asked when Prometheus asks."""

    def __init__(self, gauges: dict[str, Callable[[], float]]) -> None:
        self._gauges = gauges
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._codes: Counter[str] = Counter(dict.fromkeys(WATCHED, 0))
        self._tokens: Counter[str] = Counter({"in": 0, "out": 0})
        self._first = Times("gateway_first_byte_seconds", "Time to the first byte of an answer.")
        self._whole = Times("gateway_request_seconds", "Time to the last byte of an answer.")

    def count(self, exchange: Exchange) -> None:
        """Count a request that is over."""
        self._requests[exchange.route, str(exchange.status), exchange.code or ""] += 1
        if exchange.code:
            self._codes[exchange.code] += 1
        if exchange.used.requests:
            self._tokens["in"] += exchange.used.tokens_in
            self._tokens["out"] += exchange.used.tokens_out
            self._whole.add(exchange.route, exchange.seconds)
            if exchange.first is not None:
                self._first.add(exchange.route, exchange.first - exchange.began)

    def collect(self) -> Iterator[Metric]:
        """For prometheus_client."""
        requests = CounterMetricFamily(
            "gateway_requests", "Requests that are over.", labels=["route", "status", "code"]
        )
        for labels, count in list(self._requests.items()):
            requests.add_metric(labels, count)
        codes = CounterMetricFamily("gateway_refusals", "Requests that came to nothing, by why.", labels=["code"])
        for code, count in list(self._codes.items()):
            codes.add_metric([code], count)
        tokens = CounterMetricFamily("gateway_tokens", "Tokens by the engine's count.", labels=["direction"])
        for direction, count in list(self._tokens.items()):
            tokens.add_metric([direction], count)
        yield from (requests, codes, tokens, self._first.family(), self._whole.family())
        for name, ask in self._gauges.items():
            yield GaugeMetricFamily(f"gateway_{name}", name.replace("_", " "), value=ask())

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Answer on a port of its own, in a thread; returns what ends it. Clients have no way to that port: nothing publishes it."""
        registry = CollectorRegistry()
        registry.register(self)
        server, thread = start_http_server(port, host, registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop
