"""Which lists of domains and URLs a curation looks documents up in."""

from pydantic import Field, model_validator

from ctllm.schemas.config import Config


class UrlListsConfig(Config):
    """Lists of domains and URLs; the category that lists a document's URL is the signal `url_list`. None by default."""

    paths: tuple[str, ...] = Field(
        (),
        description="directories or tar archives with CATEGORY/domains and CATEGORY/urls (UT1), or plain files "
        "(one domain or URL a line; its name without ending is its category)",
    )
    categories: tuple[str, ...] = Field(
        (), description="the categories to use, by name; an URL in several has the first"
    )

    @model_validator(mode="after")
    def _has_both_or_none(self) -> "UrlListsConfig":
        if self.categories and not self.paths:
            raise ValueError("categories without paths list nothing; name a path, or drop the categories")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError("categories names one twice")
        return self
