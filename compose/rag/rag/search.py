"""What is asked and what is answered. There is no index yet, so every question has no passages."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Query(BaseModel):
    """A question: at most 2,000 characters, and how many passages at most."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    query: Annotated[str, Field(min_length=1, max_length=2000)]
    limit: Annotated[int, Field(ge=1, le=20)] = 5


class Passage(BaseModel):
    """A piece of a document; `id` is what a citation names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: str
    text: str


def search(query: Query) -> list[Passage]:
    """The best passages first, at most `query.limit`."""
    found: list[Passage] = []
    return found[: query.limit]
