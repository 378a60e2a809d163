"""The config of `ctllm curate`: what is read, how it is measured, which rules decide, how copies are found.

Thresholds stand under `rules`; changing one re-runs `decide` and `publish` only, changing how signed documents are
compared `pairs` and what follows.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ctllm.schemas.config import Config, bare_off
from ctllm.schemas.guard_config import GuardConfig
from ctllm.schemas.privacy_config import PrivacyConfig
from ctllm.schemas.rules import OVERLAP_RULE, RulesConfig
from ctllm.schemas.url_lists_config import UrlListsConfig

BUILTIN = "builtin"
"""In place of a file: the list that comes with ctllm."""


class SourceConfig(Config):
    """How input files become records."""

    text_field: str = Field("text", min_length=1, description="JSON key or Parquet column of the text; `a.b` is b in a")
    id_field: str = Field("id", min_length=1, description="JSON key or Parquet column of the source's own id")
    url_field: str = Field("url", min_length=1, description="JSON key or Parquet column of the URL")
    title_field: str = Field("title", min_length=1, description="JSON key or Parquet column of the title")
    date_field: str = Field("date", min_length=1, description="JSON key or Parquet column of the date")
    license_field: str = Field("license", min_length=1, description="JSON key or Parquet column of the licence")
    extractor: Literal["resiliparse", "trafilatura"] = Field(
        "resiliparse",
        description="main text of HTML; trafilatura is an extra, stricter, slower, and narrows wide spaces",
    )
    text_unit: Literal["file", "line", "paragraph"] = Field(
        "file", description="what is one document in a text file; paragraphs stand between blank lines"
    )
    repair_mojibake: bool = Field(
        True, description="text read in a wrong charset is read again, where that is lossless"
    )
    block_size_bytes: int = Field(
        64 << 20, ge=1 << 16, description="plain JSONL and texts of many documents: block of a split"
    )
    max_document_bytes: int = Field(50 << 20, ge=1024, description="a larger record is a failure, not a document")


class LanguageConfig(Config):
    """Language identification; lanes follow from it and from the code detector."""

    num_chars: int = Field(300, ge=50, description="characters the identifier reads, whitespace folded")
    min_han_share: float = Field(
        0.2,  # half of the words are Han at 0.24 (1.5 letters a word, Latin 4.7); articles about commands have 0.2
        ge=0,
        le=1,
        description="at this Han share of letters a text is Chinese and the identifier is skipped",
    )


DEDUP_PRESETS: dict[str, dict[str, object]] = {
    "recommended": {},
    "ctllm": {
        "form": "verbatim",
        "shingle_hash": "sha1",
        "scheme": "legacy",
        "bands": (9, 13),
        "shingle_chars": 13,
        "min_shingles": 1,
        "verify": False,
        "survivor_order": ("key",),
    },
}
"""What `dedup.preset` says of keys that are not given. ctllm: deduplication/minhash_lsh of the authors' repository."""


COMPARING = ("by_url", "verify", "exact_within", "containment", "max_bucket")
"""Keys of `dedup` that are read when signed documents are compared, not before; `threshold` is read by both."""

CHOOSING = ("survivor_order", "source_priority")
"""Keys of `dedup` that are read when all copies are known."""


class DedupConfig(Config):
    """How copies are found. Survivors are chosen in `decide`, among the documents the rules keep."""

    preset: Literal["recommended", "ctllm"] = Field(
        "recommended",
        description="ctllm: as the CT-LLM authors did, to repeat their corpus; single keys still override",
    )
    near: bool = Field(True, description="also near duplicates, by MinHash")
    by_url: bool = Field(
        False, description="also documents of one URL, whatever their texts: pages that were crawled again"
    )
    threshold: float = Field(
        0.8, gt=0, lt=1, description="verified Jaccard at and above which two documents are copies"
    )
    containment: float | None = Field(None, ge=0, le=1, description="containment that also makes a copy; null = off")
    verify: bool = Field(
        True, description="candidates are compared; false: all that share a band are one cluster, whatever they share"
    )
    exact_within: float | None = Field(
        4.0,  # 6 of 100,000 pairs beyond it are on the wrong side
        ge=0,
        description="standard errors of the sketches around a bound within which two documents are compared by all "
        "their shingles; null: sketches decide",
    )
    form: Literal["folded", "verbatim"] = Field(
        "folded", description="what is hashed: tokens without form and script, or every character as it stands"
    )
    shingle_hash: Literal["mixed", "sha1"] = Field(
        "mixed",
        description="sha1, of `verbatim` only: as datasketch and text-dedup hash by default, at half the speed",
    )
    scheme: Literal["affine32", "legacy"] = Field(
        "affine32", description="datasketch's permutations: those of its versions from 2.0 on, or before"
    )
    num_permutations: int = Field(128, ge=16, le=512)
    bands: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = Field(
        None, description="bands and rows in each; null: as many as the threshold asks for"
    )
    shingle_chars: int = Field(5, ge=2, le=32, description="characters per shingle in Han, kana and hangul runs")
    shingle_words: int = Field(
        3,  # of labelled pairs with character Jaccard from 0.8 on 5 find 0.74 in English, 0.93 in code; 3 0.88, 0.98
        ge=1,
        le=16,
        description="words or code tokens per shingle elsewhere",
    )
    min_shingles: int = Field(
        20,  # 24 Han characters; below, one changed character in a title, 第三季度 for 第四季度, is another document
        ge=1,
        description="a text with fewer distinct shingles is compared exactly only",
    )
    sketch_size: int = Field(256, ge=32, le=4096, description="shingle hashes kept per document for verification")
    fold_variants: bool = Field(True, description="traditional and simplified forms hash alike")
    max_bucket: int = Field(
        1000, ge=2, description="documents compared within one band; more are linked star-wise and counted"
    )
    survivor_order: tuple[Literal["source_priority", "quality", "num_chars", "date", "key"], ...] = Field(
        ("source_priority", "num_chars", "key"),
        description="which of several copies stays: that of the first source in source_priority, the one with the best "
        "quality_score, the longest, the newest, the first read; without score or date it comes after those with one",
    )
    source_priority: tuple[str, ...] = Field((), description="sources whose copy is kept before others', best first")

    @property
    def measured(self) -> "DedupConfig":
        """What signing reads: equal for configs that differ only in what is done with the signatures."""
        unread = {"preset": "recommended", **dict.fromkeys((*COMPARING, *CHOOSING))}
        if self.bands is not None:
            unread["threshold"] = None  # else it makes the bands
        return self.model_copy(update=unread)

    @model_validator(mode="before")
    @classmethod
    def _take_preset(cls, values: Any) -> Any:  # noqa: ANN401 - whatever YAML holds
        if not isinstance(values, dict):
            return values
        return {**DEDUP_PRESETS.get(str(values.get("preset")), {}), **values}

    @model_validator(mode="after")
    def _sha1_has_characters(self) -> "DedupConfig":
        if self.shingle_hash == "sha1" and self.form != "verbatim":
            raise ValueError(f"shingle_hash sha1 is of the characters as they stand: not with form={self.form}")
        return self

    @model_validator(mode="after")
    def _bands_fit(self) -> "DedupConfig":
        if self.bands is not None and self.bands[0] * self.bands[1] > self.num_permutations:
            raise ValueError(
                f"bands {self.bands[0]} x {self.bands[1]} need more than num_permutations={self.num_permutations}"
            )
        return self


class LinesConfig(Config):
    """Lines, paragraphs and sentences that repeat others: cut out of published text and recorded in `edits`.

    Code keeps all its lines. What is left of a document is judged by its lane's own bound on length.
    """

    within_document: Annotated[Literal["off", "repeated", "similar", "ctllm"], BeforeValidator(bare_off)] = Field(
        "repeated",
        description="sentences said earlier in the same document: `repeated` alike but for case, width, marks and "
        "spaces; `similar` with at most a tenth of the characters changed; `ctllm` as the authors cut and compare",
    )
    min_sentence_tokens: int = Field(
        30,  # measured: statutes, refrains, parameters' descriptions and logs repeat shorter ones on purpose
        ge=1,
        description="Han characters or words of the shortest sentence that may not be said again; `ctllm` has none",
    )
    across_site: int | None = Field(
        10, ge=1, description="lines seen in more documents of one site (host of the URL) are cut; measured; null = off"
    )
    across_documents: int | None = Field(
        None, ge=1, description="lines seen in more documents of the run are cut; off: statutes share some on purpose"
    )
    paragraphs: bool = Field(True, description="also blocks of lines between lines without a word, by the same counts")
    min_tokens: int = Field(
        10,  # measured: dialogue, headings and clauses of statutes are shorter
        ge=1,
        description="Han characters or words of the shortest line or paragraph that is counted",
    )
    substrings: int | None = Field(
        None,
        ge=20,
        description="English runs of as many words that an earlier document holds are cut (MAP-NEO, last stage: 50 "
        "characters); null = off",
    )

    @property
    def counts_lines(self) -> bool:
        """Whether lines are counted across documents."""
        return self.across_site is not None or self.across_documents is not None

    def measured(self) -> dict[str, object]:
        """What measuring reads of it; the bounds on counts are read later."""
        counted = {"paragraphs": self.paragraphs, "min_tokens": self.min_tokens} if self.counts_lines else {}
        return {
            "within_document": self.within_document,
            "min_sentence_tokens": self.min_sentence_tokens,
            "without_site": self.across_documents is not None,
            "substrings": self.substrings,
            **counted,
        }


class DecontaminationConfig(Config):
    """Benchmark items that must not be trained on; overlap is measured as the signal `benchmark_overlap`."""

    benchmarks: tuple[str, ...] = Field((), description="files, globs or directories in the benchmarks' own formats")
    ngram_chars: int = Field(13, ge=5, description="characters per n-gram for Han text")
    ngram_words: int = Field(13, ge=3, description="words per n-gram elsewhere")
    max_items_per_ngram: int = Field(
        10, ge=1, description="n-grams of more items than this are boilerplate and do not count"
    )
    min_recorded_overlap: float = Field(
        0.3, gt=0, le=1, description="an item covered to this share stands in contamination/; chosen"
    )
    action: Literal["drop", "cut", "flag"] = Field(
        "drop",
        description="an item above its lane's max_benchmark_overlap removes the document, is cut out of the published "
        "text, or is only recorded in `edits`",
    )

    @property
    def measured(self) -> "DecontaminationConfig":
        """What measuring reads: equal for configs that differ only in what is done about a leak."""
        return self.model_copy(update={"action": "drop"})


def _vocabulary(content: str, *default: str) -> Any:  # noqa: ANN401 - pydantic's own type of Field()
    return Field(default, description=f"{content}: builtin, and files with one term a line (# begins a comment)")


class VocabulariesConfig(Config):
    """Word lists; the share of a text that each covers is a signal. [builtin, a.txt] adds, [a.txt] replaces, [] is off.

    Terms are compared without case, width, spaces and punctuation; English ones match whole words.
    """

    gambling: tuple[str, ...] = _vocabulary("betting, casinos, lotteries; signal gambling_share", BUILTIN)
    porn: tuple[str, ...] = _vocabulary("pornography and sex for sale; signal porn_share", BUILTIN)
    sensitive: tuple[str, ...] = _vocabulary(
        "advertisements and offers of fraud: forged papers, loans, rankings; signal sensitive_share", BUILTIN
    )
    profanity: tuple[str, ...] = _vocabulary("swear words; signal profanity_share", BUILTIN)
    custom: tuple[str, ...] = _vocabulary("whatever else; signal custom_share")


class QualityConfig(Config):
    """The trained classifier whose score is the signal `quality_score`; off, and the score null, by default."""

    model: str | None = Field(None, description="directory of a `ctllm quality train`")


class CurationConfig(Config):
    """The whole of `ctllm curate`."""

    name: str = Field("curated", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    snapshot: int = Field(0, ge=0, lt=4096, description="number of this crawl in the dedup index")
    sources: SourceConfig = SourceConfig()
    language: LanguageConfig = LanguageConfig()
    rules: RulesConfig = RulesConfig()
    dedup: DedupConfig = DedupConfig()
    lines: LinesConfig = LinesConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    decontamination: DecontaminationConfig = DecontaminationConfig()
    vocabularies: VocabulariesConfig = VocabulariesConfig()
    url_lists: UrlListsConfig = UrlListsConfig()
    quality: QualityConfig = QualityConfig()
    guard: GuardConfig = GuardConfig()

    @model_validator(mode="after")
    def _sketch_holds_threshold(self) -> "CurationConfig":
        if self.dedup.containment is not None and self.dedup.containment < self.dedup.threshold:
            raise ValueError(
                "dedup.containment below dedup.threshold would make it meaningless; raise it or set it to null"
            )
        return self

    @model_validator(mode="after")
    def _order_is_measured(self) -> "CurationConfig":
        if "quality" in self.dedup.survivor_order and self.quality.model is None:
            raise ValueError(
                "dedup.survivor_order asks for quality, but without quality.model no document has a score; "
                "name the directory of a `ctllm quality train`, or leave quality out"
            )
        return self

    @model_validator(mode="after")
    def _evidence_reaches_bounds(self) -> "CurationConfig":
        """Where a leak is cut or flagged, every item above the bound has to stand in contamination/."""
        action, recorded = self.decontamination.action, self.decontamination.min_recorded_overlap
        for lane, ruleset in self.rules.by_lane().items():
            bound = getattr(ruleset, OVERLAP_RULE)
            if action != "drop" and bound is not None and bound < recorded:
                key = f"rules.{self.rules.zh_set if lane == 'zh' else lane}.{OVERLAP_RULE}"
                raise ValueError(
                    f"decontamination.action {action} needs the place of every item above {key} ({bound:g}), but only "
                    f"those from decontamination.min_recorded_overlap ({recorded:g}) on are recorded; lower it to "
                    f"{bound:g}, or raise {key}"
                )
        return self

    @property
    def deciding_rules(self) -> RulesConfig:
        """The rules that remove documents: the one on leaked benchmark items is off where they are cut or flagged."""
        if self.decontamination.action == "drop":
            return self.rules
        sets = {
            name: getattr(self.rules, name).model_copy(update={OVERLAP_RULE: None})
            for name in ("zh", "ctllm_zh", "en", "code")
        }
        return self.rules.model_copy(update=sets)
