"""Thresholds on signals: one field is one rule, its name is the reason a document is refused for.

`min_<signal>` refuses what is below it, `max_<signal>` what is above it; the bound itself is kept. Null is off, 0 is
zero. Rules run in field order. Where each number comes from stands in the field's description; all were checked on real
documents (docs/experiments.md), "measured" marks those set there.
"""

from typing import Any, Literal, NamedTuple

from pydantic import Field

from ctllm.schemas.config import Config

OVERLAP_RULE = "max_benchmark_overlap"
"""The rule whose bound says what a leaked benchmark item is; decontamination.action says what happens then."""


class Rule(NamedTuple):
    """One bound on one signal."""

    name: str
    signal: str
    is_minimum: bool
    threshold: float | None


class RuleSet(Config):
    """The ordered rules of one lane."""

    def rules(self) -> list[Rule]:
        """Every bound as a rule, off ones included, in field order."""
        names = [name for name in type(self).model_fields if name.startswith(("min_", "max_"))]
        return [Rule(name, name[4:], name.startswith("min_"), getattr(self, name)) for name in names]


def _share(default: float | None, source: str) -> Any:  # noqa: ANN401 - pydantic's own type of Field()
    return Field(default, ge=0, le=1, description=source)


def _count(default: float | None, source: str) -> Any:  # noqa: ANN401 - pydantic's own type of Field()
    return Field(default, ge=0, description=source)


class ZhRules(RuleSet):
    """Chinese prose, simplified or traditional, modern or classical."""

    min_num_chars: float | None = _count(
        50, "CT-LLM C2; its upper bound of 10,000 would drop every book, so there is none"
    )
    max_url_list: float | None = _count(0, "chosen: no category of url_lists, whose default is none")
    max_replacement_share: float | None = _share(0.005, "measured: a stray one in 200 characters stays")
    min_han_share: float | None = _share(
        0.08, "measured on articles full of links and code; ChineseWebText 2.0 asks 0.3"
    )
    max_gambling_share: float | None = _share(0.03, "measured")
    max_porn_share: float | None = _share(0.05, "measured on questions to a doctor")
    max_sensitive_share: float | None = _share(0.03, "measured: at most 0.01 in good prose")
    max_profanity_share: float | None = _share(0.05, "measured: 0.03 in short answers of a forum")
    max_custom_share: float | None = _share(0.05, "chosen: one character in twenty; vocabularies.custom is empty")
    min_num_prose_chars: float | None = _count(
        45, "measured: eight lines of five characters, with their marks, have 48"
    )
    min_prose_share: float | None = _share(
        0.28, "measured on pages read by eye; drops 0.2 % of zh_docs, 53 % of web_zh_wet"
    )
    max_menu_share: float | None = _share(0.5, "measured; verse without punctuation has 0.4; drops 15 % of web_zh_wet")
    min_stop_word_share: float | None = _share(0.02, "measured on regulated verse; BLOOM asks 0.169 of segmented words")
    min_punctuation_share: float | None = _share(None, "CT-LLM C10 asks more than 0; off: free verse may have none")
    max_bracket_share: float | None = _share(0.1, "CT-LLM A1")
    max_hash_share: float | None = _share(0.1, "CT-LLM C4")
    max_ellipsis_share: float | None = _share(0.1, "CT-LLM C5")
    max_digit_share: float | None = _share(0.3, "CT-LLM C7; drops none of zh_docs, 4.5 % of web_zh_wet")
    max_symbol_share: float | None = _share(0.2, "measured on pages full of formulae")
    max_url_share: float | None = _share(0.5, "measured; CT-LLM strips links instead")
    max_readmore_line_share: float | None = _share(0.3, "CT-LLM C8")
    max_bullet_line_share: float | None = _share(0.95, "measured on lists in encyclopedias; CT-LLM C9 0.9")
    min_char_entropy: float | None = _count(3.0, "CT-LLM C12, nats")
    max_duplicate_line_share: float | None = _share(0.35, "measured on tutorials; FineWeb-2 cmn_Hani 0.287")
    max_top_2gram_share: float | None = _share(0.2, "CT-LLM E1")
    max_top_3gram_share: float | None = _share(0.22, "measured on short answers; CT-LLM E2 0.18, first occurrence free")
    max_top_4gram_share: float | None = _share(0.25, "measured on short answers; CT-LLM E3 0.16, first occurrence free")
    max_duplicate_5gram_share: float | None = _share(
        0.65, "measured on statutes; a text three times over has 0.67; CT-LLM E4 0.60"
    )
    max_duplicate_10gram_share: float | None = _share(0.6, "CT-LLM E9")
    min_quality_score: float | None = _share(None, "off: depends on the model; MAP-NEO keeps above 0.96")
    max_benchmark_overlap: float | None = _share(0.8, "chosen: four fifths of an item's n-grams is the item itself")


class CtllmZhRules(RuleSet):
    """Chinese web pages as the CT-LLM authors' own code decides (docs/decisions/0006). Bounds are theirs.

    Three of theirs exclude the bound; here it is the next value a document of at most 10,000 characters can have.
    """

    as_released: bool = Field(
        True, description="as their program runs: it computes the repetition rules and ignores them; false: they count"
    )
    max_ctllm_bracket_share: float | None = _share(0.1, "A1, again as C6")
    max_url_list: float | None = _count(0, "B1: no listed page; they read every UT1 `urls` file, white lists too")
    min_ctllm_num_sentences: float | None = _count(2, "C1: more than 1")
    min_ctllm_num_chars: float | None = _count(50, "C2")
    max_ctllm_num_chars: float | None = _count(10_000, "C2; drops every book")
    min_ctllm_mean_word_chars: float | None = _count(1.3, "C3")
    max_ctllm_mean_word_chars: float | None = _count(10, "C3")
    max_ctllm_hash_share: float | None = _share(0.1, "C4; counts runs, not characters")
    max_ctllm_ellipsis_share: float | None = _share(0.1, "C5; counts runs, not characters")
    max_ctllm_digit_share: float | None = _share(0.3, "C7")
    max_ctllm_readmore_line_share: float | None = _share(0.3, "C8")
    max_ctllm_bullet_line_share: float | None = _share(0.9, "C9")
    min_ctllm_num_punctuation: float | None = _count(1, "C10: a share above 0")
    min_ctllm_distinct_char_share: float | None = _share(0.10001, "C11: above 0.1; bounds the length at about 8,000")
    min_ctllm_char_entropy: float | None = _count(3.0, "C12, nats")
    min_ctllm_lang_score: float | None = _share(0.4, "D1; of any language")
    max_ctllm_top_2gram_share: float | None = _count(0.2, "E1")
    max_ctllm_top_3gram_share: float | None = _count(0.18, "E2")
    max_ctllm_top_4gram_share: float | None = _count(0.16, "E3")
    max_benchmark_overlap: float | None = _share(
        0.8, "not theirs; acts only where decontamination.benchmarks names any, as in the other lanes"
    )

    def rules(self) -> list[Rule]:
        """Every bound as a rule; those on repetition are off where they are decided as released."""
        rules = super().rules()
        if not self.as_released:
            return rules
        return [rule._replace(threshold=None) if rule.signal in REPETITION else rule for rule in rules]


REPETITION = tuple(f"ctllm_top_{n}gram_share" for n in (2, 3, 4))
"""What the CT-LLM authors' stage on repetition bounds. Its six bounds on duplicate 5- to 10-grams are left out: they
count distinct characters, which are at most half of a text, against 0.6, and refuse nothing."""


class EnRules(RuleSet):
    """English prose."""

    min_num_words: float | None = _count(50, "Gopher; its upper bound of 100,000 would drop books, so there is none")
    max_url_list: float | None = _count(0, "chosen: no category of url_lists, whose default is none")
    max_replacement_share: float | None = _share(0.005, "measured: a stray one in 200 characters stays")
    min_lang_score: float | None = _share(
        0.4, "CT-LLM D1, MAP-NEO, on the first 300 characters; RefinedWeb 0.65; drops 3 of 943 English documents"
    )
    min_mean_word_chars: float | None = _count(3, "Gopher")
    max_mean_word_chars: float | None = _count(10, "Gopher")
    min_stop_word_share: float | None = _share(
        0.05, "measured; 0.06 on the RedPajama-V2 path of MAP-NEO; Gopher asks for two stop words"
    )
    max_non_alpha_word_share: float | None = _share(
        0.25, "measured on manuals, at most 0.20; Gopher 0.2 of words with their marks; drops 0.7 % of web_en"
    )
    max_upper_case_word_share: float | None = _share(
        0.3, "measured: 0.18 in manuals and novels; Pretrainer's Guide's 0.1 drops 3 % of en_docs"
    )
    max_symbols_per_word: float | None = _count(
        0.25, "measured: 0.21 in manuals in Markdown; Gopher's 0.1 drops 6 % of en_docs; drops none of it"
    )
    max_curly_bracket_share: float | None = _share(
        0.05, "measured: 0.027 in manuals with templates; MAP-NEO 0.025; C4 drops any page with one"
    )
    max_c4_line_share: float | None = _share(0.3, "measured: 0.033 in manuals; C4 drops each such line, or the page")
    max_boilerplate_share: float | None = _share(
        0.25, "measured: 0.17 in manuals, 0.08 in raw pages of articles; drops 1.0 % of web_en"
    )
    max_brief_line_share: float | None = _share(
        None, "off: FineWeb's 0.67 drops 4 % of en_docs and 9 % of web_en, raw pages of articles among menus"
    )
    max_hash_share: float | None = _share(0.03, "measured: no manual in Markdown has more; Gopher 0.1 per *word*")
    max_ellipsis_share: float | None = _share(0.1, "MAP-NEO, English")
    max_ellipsis_line_share: float | None = _share(0.3, "Gopher; drops none of en_docs, 0.3 % of web_en, a teaser")
    max_bullet_line_share: float | None = _share(0.9, "Gopher")
    min_end_mark_line_share: float | None = _share(0.02, "measured; FineWeb's 0.12 drops 12 % of en_docs; drops 2.1 %")
    max_duplicate_line_share: float | None = _share(
        0.4, "measured on manuals; Gopher 0.30 of lines, 0.20 of characters; FineWeb's 0.1 drops 16 % of en_docs"
    )
    max_duplicate_paragraph_share: float | None = _share(
        None, "off: Gopher's 0.20 drops 4 % of en_docs, manuals of commands; max_duplicate_line_share bounds it"
    )
    max_top_2gram_share: float | None = _share(0.2, "Gopher")
    max_top_3gram_share: float | None = _share(0.18, "Gopher")
    max_top_4gram_share: float | None = _share(0.16, "Gopher")
    max_duplicate_5gram_share: float | None = _share(0.65, "measured on generated references; Gopher's 0.15 drops 32 %")
    max_duplicate_10gram_share: float | None = _share(0.6, "measured on generated references; Gopher's 0.10 drops 28 %")
    max_digit_share: float | None = _share(0.3, "MAP-NEO, English: digit words")
    max_gambling_share: float | None = _share(0.1, "measured")
    max_porn_share: float | None = _share(0.1, "measured")
    max_sensitive_share: float | None = _share(0.05, "measured: 0.03 in an advertisement of essays for sale")
    max_profanity_share: float | None = _share(0.05, "measured: 0.02 in a chapter of Huckleberry Finn")
    max_custom_share: float | None = _share(0.05, "chosen: one character in twenty; vocabularies.custom is empty")
    min_quality_score: float | None = _share(None, "off: depends on the model; MAP-NEO keeps above 0.96")
    max_benchmark_overlap: float | None = _share(0.8, "chosen: four fifths of an item's n-grams is the item itself")


class CodeRules(RuleSet):
    """Source code; never meets the rules of prose."""

    min_num_chars: float | None = _count(50, "measured")
    max_url_list: float | None = _count(0, "chosen: no category of url_lists, whose default is none")
    max_replacement_share: float | None = _share(0.005, "measured: a stray one in 200 characters stays")
    max_max_line_chars: float | None = _count(1000, "The Stack / StarCoder: longest line")
    max_mean_code_line_chars: float | None = _count(100, "The Stack / StarCoder: mean line")
    min_alnum_share: float | None = _share(0.25, "The Stack / StarCoder: alphanumeric characters")
    max_digit_share: float | None = _share(0.5, "measured: tables of numbers")
    max_is_generated: float | None = _count(
        0, "chosen: no generated file; drops 2.1 % of the shared code, all of them by their own word"
    )
    max_data_line_share: float | None = _share(
        0.5, "chosen: no table of numbers; drops none of the shared code, whose largest is 0.44"
    )
    max_num_secrets: float | None = _count(
        None, "off: redaction is the gentler way; 0 refuses every file with a secret, none of the shared code"
    )
    max_benchmark_overlap: float | None = _share(0.8, "chosen: four fifths of an item's n-grams is the item itself")


class RulesConfig(Config):
    """The rules of every lane. Documents of no lane are refused as `other_language`."""

    zh_set: Literal["zh", "ctllm_zh"] = Field("zh", description="the rules of this config that the zh lane meets")
    zh: ZhRules = ZhRules()
    ctllm_zh: CtllmZhRules = CtllmZhRules()
    en: EnRules = EnRules()
    code: CodeRules = CodeRules()

    def by_lane(self) -> dict[str, RuleSet]:
        """The rules that the documents of each lane meet."""
        return {"zh": self.zh if self.zh_set == "zh" else self.ctllm_zh, "en": self.en, "code": self.code}

    def of_lane(self, lane: str) -> RuleSet:
        """The rules that documents of `lane` meet; empty for a lane without rules."""
        return self.by_lane().get(lane, RuleSet())

    @property
    def asks_for_ctllm(self) -> bool:
        """Whether any rule bounds one of the signals `ctllm_...`, which are only measured then."""
        return self.zh_set == "ctllm_zh"
