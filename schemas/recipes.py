"""Recipes: what is known of a published corpus and how it is fetched, one YAML file each in `configs/recipes/`.

Facts are as read in the publisher's card or listing on the day given in `checked`; what could not be verified stands in
`unverified`, and nothing else is implied. A recipe is no legal advice: the licence is the publisher's text.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ctllm.schemas.config import Config

Use = Literal["curate", "conversations", "preferences"]
"""The command that reads the files: `ctllm curate`, or `ctllm conversations --kind …`."""


class HubPart(Config):
    """Files of a dataset on a Hugging Face hub."""

    kind: Literal["hf"]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$", description="for --part")
    dataset: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    files: tuple[str, ...] = Field(min_length=1, description="globs of paths; * also matches /")
    revision: str = Field("main", description="branch, tag or commit; pinned to a commit when fetched")
    join: str | None = Field(None, description="the files are parts of this one file and are joined in order of name")
    size_bytes: int | None = Field(None, ge=0, description="of all files together, compressed; null: unknown")


class CommonCrawlPart(Config):
    """Files of one crawl, by position in its list."""

    kind: Literal["commoncrawl"]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$", description="for --part")
    crawl: str = Field(pattern=r"^CC-MAIN-\d{4}-\d{2}$")
    files: Literal["warc", "wet"]
    segments: str | None = Field(None, description="positions as 0-3,7; null: all, usually cut short with --limit")
    size_bytes: int | None = Field(None, ge=0, description="of all files together, compressed; null: unknown")


Part = Annotated[HubPart | CommonCrawlPart, Field(discriminator="kind")]


class Recipe(Config):
    """One corpus."""

    title: str
    homepage: str = Field(pattern=r"^https://")
    languages: tuple[Literal["zh", "en", "code"], ...] = Field(min_length=1)
    licence: str = Field(description="SPDX id where there is one, else the publisher's name of it")
    licence_notes: tuple[str, ...] = ()
    gated: bool = Field(description="whether terms must be accepted on the page and HF_TOKEN be set")
    use: Use
    columns: dict[Literal["text", "id", "url", "title", "date", "license"], str] = Field(
        {}, description="our field to the column of the files; for --map, left out where the names are equal"
    )
    content: str = Field(description="what the documents are, how many, in one or two sentences")
    parts: tuple[Part, ...] = Field(min_length=1)
    notes: tuple[str, ...] = ()
    checked: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="day on which the facts were looked up")
    unverified: tuple[str, ...] = Field((), description="what is said above, or left out, without having been seen")

    @model_validator(mode="after")
    def _parts_differ(self) -> "Recipe":
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names):
            raise ValueError(f"parts: two have the same name among {', '.join(names)}")
        if self.use == "curate" and self.columns and "text" not in self.columns:
            raise ValueError("columns: text is missing; say text: text when the column is called so")
        return self
