"""Where the gateway finds its peers and files (environment), and what it lets through (policies/gateway.yaml)."""

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
    field_validator,
)

from gateway.echo import GRAM, Secrets, fold

ROUTES = Literal[
    "POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "GET /v1/models",
    "POST /api/chat", "POST /api/generate", "POST /api/embed", "GET /api/tags", "POST /api/show", "GET /api/version", "HEAD /",
]  # fmt: skip
PREFIX = "GATEWAY_"
_URL = r"^http://[A-Za-z0-9.-]+:\d{1,5}$"
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Strict(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(Strict):
    """From the environment: `GATEWAY_<FIELD>`."""

    engine_url: Annotated[str, StringConstraints(pattern=_URL)]
    chat_model: Name
    embed_model: Annotated[Name | None, BeforeValidator(lambda name: None if name == "-" else name)] = None  # "-": none
    embed_digest: str = ""  # of its weights: what the index of documents has to have been made with
    embed_url: Annotated[str, StringConstraints(pattern=_URL)] | None = None  # None: the engine's
    rag_socket: Path | None = None
    audit_socket: Path | None = None
    verdict_file: Path | None = None
    policy_file: Path = Path("/etc/gateway/gateway.yaml")
    keys_file: Path = Path("/etc/gateway/keys/keys.json")
    host: str = "0.0.0.0"  # noqa: S104  inside the container; the published address is decided by Compose
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raise pydantic.ValidationError on a missing, unknown or wrong `GATEWAY_*` variable."""
        return cls.model_validate(
            {name[len(PREFIX) :].lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
        )


class Limits(Strict):
    """Bytes, seconds and counts, each at least 1."""

    body_bytes: PositiveInt
    body_seconds: PositiveInt
    head_bytes: PositiveInt
    head_seconds: PositiveInt
    json_depth: PositiveInt
    messages: PositiveInt
    inputs: PositiveInt
    in_flight: PositiveInt
    queue: NonNegativeInt
    queue_seconds: PositiveInt
    strangers_minute: PositiveInt
    connect_seconds: PositiveInt
    idle_seconds: PositiveInt
    stall_seconds: PositiveInt
    heartbeat_seconds: NonNegativeInt
    answer_bytes: PositiveInt


class Budget(Strict):
    """How much may be used; None for no limit. A minute slides, a day is UTC's; tokens are counted by the engine."""

    requests_minute: PositiveInt | None = None
    requests_day: PositiveInt | None = None
    tokens_in_minute: PositiveInt | None = None
    tokens_in_day: PositiveInt | None = None
    tokens_out_minute: PositiveInt | None = None
    tokens_out_day: PositiveInt | None = None


class Rates(Budget):
    """How much one key may use, and how many of its requests may be under way."""

    concurrency: PositiveInt | None = None


class Roles(Strict):
    """Folded role names: those that reach the engine, and those swallowed."""

    forward: frozenset[Literal["user", "assistant", "tool"]]
    drop: frozenset[str]


class Range(Strict):
    """What a numeric field may be; `default` is sent when the client says nothing."""

    type: Literal["integer", "number"]
    min: float
    max: float
    default: float | None = None

    def clamp(self, value: float) -> float:
        """The value, or the end of the range that is nearer to it."""
        value = min(max(value, self.min), self.max)
        return int(value) if self.type == "integer" else value


class Fields(Strict):
    """Fields of a request that are forwarded within a range, or swallowed."""

    forward: dict[str, Range]
    drop: frozenset[str]

    @cached_property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self.forward) | self.drop

    @cached_property
    def defaults(self) -> dict[str, float]:
        """What is sent when the client says nothing."""
        return {name: limit.clamp(limit.default) for name, limit in self.forward.items() if limit.default is not None}


class Ollama(Strict):
    """What of Ollama's own fields and options is swallowed."""

    drop: frozenset[str]
    drop_options: frozenset[str]


class Tools(Strict):
    """How many tools a client may offer, 0 for none, and how large all they say of themselves may be."""

    count: NonNegativeInt
    bytes: PositiveInt


class Answers(Strict):
    """What an answer may not carry out."""

    hosts: frozenset[Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,253}$")]]
    canaries: tuple[Annotated[str, StringConstraints(min_length=16)], ...]
    echo: Annotated[int, Field(ge=12)]

    @field_validator("canaries")
    @classmethod
    def _recognisable(cls, canaries: tuple[str, ...]) -> tuple[str, ...]:
        if any(len(fold(canary)) < GRAM for canary in canaries):
            raise ValueError(f"a canary needs at least {GRAM} letters and digits")
        return canaries


class Rag(Strict):
    """How much is asked of the passages' service, how long it may take, what is near enough, and what is said when nothing is."""

    seconds: PositiveInt
    vector_seconds: PositiveInt
    query_chars: PositiveInt
    passages: PositiveInt
    passage_chars: PositiveInt
    share: Annotated[float, Field(ge=0, le=1)]
    near: Annotated[float, Field(ge=-100, le=100)]
    none: Annotated[str, StringConstraints(min_length=1)]


class Policy(Strict):
    """policies/gateway.yaml, checked."""

    system_prompt: FileName
    routes: frozenset[ROUTES]
    limits: Limits
    per_key: Rates
    ceiling: Budget
    roles: Roles
    fields: Fields
    ollama: Ollama
    tools: Tools
    answers: Answers
    control_tokens: Annotated[tuple[str, ...], Field(min_length=1)]
    rag: Rag

    @field_validator("control_tokens")
    @classmethod
    def _breakable(cls, tokens: tuple[str, ...]) -> tuple[str, ...]:
        """A token is broken after its first character, and has to be none then."""
        for token in tokens:
            try:
                found = re.compile(token, re.IGNORECASE)
            except re.error as error:
                raise ValueError(f"not an expression: {token}: {error}") from None
            if any(found.search(text) for text in ("", *map(chr, range(0x3000)))):
                raise ValueError(f"matches nothing, or a single character: {token}")
        return tokens

    @cached_property
    def control(self) -> re.Pattern[str]:
        """One expression for all control tokens, whatever their case."""
        return re.compile("|".join(f"(?:{token})" for token in self.control_tokens), re.IGNORECASE)


def load_policy(path: Path) -> tuple[Policy, str]:
    """The policy and the text of its system prompt (beside it, never empty). Raise OSError, yaml.YAMLError or ValueError."""
    policy = Policy.model_validate(yaml.safe_load(path.read_text("utf-8")))
    prompt = (path.parent / policy.system_prompt).read_text("utf-8").strip()
    if not prompt:
        raise ValueError(f"{policy.system_prompt}: empty")
    return policy, prompt


class Rules(NamedTuple):
    """All that is decided by files, read together: a reload replaces them together."""

    policy: Policy
    prompt: str
    secrets: Secrets
    versions: dict[str, str]

    @classmethod
    def load(cls, path: Path) -> "Rules":
        """Raise as `load_policy` does."""
        policy, prompt = load_policy(path)
        answers = policy.answers
        return cls(policy, prompt, Secrets(answers.canaries, prompt, answers.echo), versions(path, prompt))


def versions(path: Path, prompt: str) -> dict[str, str]:
    """What decided about a request: SHA-256 of the policy file, and of the system prompt's text."""
    return {
        "policy": hashlib.sha256(path.read_bytes()).hexdigest(),
        "prompt": hashlib.sha256(prompt.encode()).hexdigest(),
    }
