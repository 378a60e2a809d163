"""How much a curation may lose before it stops."""

from pydantic import Field

from ctllm.schemas.config import Config


class GuardConfig(Config):
    """A run stops when a stage drops more than these shares, with examples; 1 switches a share off."""

    max_failed_share: float = Field(0.5, ge=0, le=1, description="share of a source's records that may fail")
    max_removed_share: float = Field(
        0.95,  # MAP-NEO's hardest stage, filters on English Common Crawl, drops 0.80; Chinese 0.62
        ge=0,
        le=1,
        description="share of a lane's documents that rules and copies may remove",
    )
    max_removed_share_per_source: float = Field(
        0.98,  # a source read by the wrong column loses all; the worst of six real ones lost 0.55
        ge=0,
        le=1,
        description="share of a source's documents, those of no lane aside, that rules and copies may remove",
    )
    max_share_per_rule: float = Field(
        0.8,  # the strictest rule fails 0.53 of raw web text, menus left in
        ge=0,
        le=1,
        description="share of a lane's documents that may fail one rule, or be copies of one kind",
    )
    max_copies_share_per_source: float = Field(
        0.8,  # the worst of six real sources, a crawl with other hosts' copies in it, lost 0.22
        ge=0,
        le=1,
        description="share of a source's documents, those of no lane aside, that may be removed as copies",
    )
    max_cluster_share: float = Field(
        0.2,  # the largest cluster of six real sources held 0.011 of its lane, of one source alone 0.064
        ge=0,
        le=1,
        description="share of a lane's documents that may be removed as copies of one and the same document",
    )
    min_documents: int = Field(
        1000, ge=1, description="lanes and sources of fewer documents are not guarded against removal"
    )
