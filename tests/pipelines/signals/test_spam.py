"""The vocabularies cover what they list and leave ordinary talk of the same things alone."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.signals.spam import SpamVocabulary
from ctllm.pipelines.signals.words import units_of
from ctllm.schemas.curation_config import VocabulariesConfig
from ctllm.schemas.errors import InputError

DEFAULTS = VocabulariesConfig()
NOTHING = dict.fromkeys(("gambling_share", "porn_share", "sensitive_share", "profanity_share", "custom_share"), 0.0)


def covered(text: str, config: VocabulariesConfig = DEFAULTS) -> dict[str, float]:
    """Share of the text that each vocabulary covers."""
    return {name: float(values[0]) for name, values in SpamVocabulary(config).measure(units_of([text])).items()}


@pytest.mark.parametrize(
    "text",
    [
        "澳门赌场真人百家乐注册送彩金，时时彩老虎机平台欢迎投注",
        "澳門賭場真人百家樂 娛樂城 老虎機",
        "澳-门-赌-场 百 家 乐 六合彩",
        "Best ONLINE casino bonus, slot machines and ｊａｃｋｐｏｔ every day",
    ],
)
def test_gambling_spam_is_covered(text: str) -> None:
    """Case, width, traditional forms and separators inside a term do not hide it."""
    assert covered(text)["gambling_share"] > 0.2
    assert covered(text)["porn_share"] == 0


def test_pornographic_spam_is_covered() -> None:
    """Titles of pornographic pages are recognised in Chinese and English."""
    assert covered("国产自拍 无码 成人电影 激情视频 free porn hardcore sex")["porn_share"] > 0.5


def test_terms_that_overlap_count_once() -> None:
    """赌场 inside 澳门赌场 adds nothing."""
    assert covered("澳门赌场") == NOTHING | {"gambling_share": 1.0}


@pytest.mark.parametrize(
    "text",
    [
        "办毕业证、办假证、代开发票，贷款秒批，当天放款，黑户可贷，欢迎来电",
        "新开传奇私服，外挂下载，刷钻刷赞，日入过千，手机赚钱",
        "Payday loans, no credit check! Cheap ＶＩＡＧＲＡ, replica watches; write my essay",
    ],
)
def test_advertisements_and_offers_of_fraud_are_covered(text: str) -> None:
    """Forged papers, loans, private game servers, remedies and ghost writers."""
    assert covered(text)["sensitive_share"] > 0.4


def test_swearing_is_covered() -> None:
    """In both languages; an English word only as a whole."""
    assert covered("傻逼，你妈的，王八蛋")["profanity_share"] == 1.0
    assert covered("fuck this bullshit")["profanity_share"] == 12 / 16
    assert covered("Scunthorpe, shitake, Mishit")["profanity_share"] == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "他斜靠在轮盘一样的月亮下读书。",
        "Their slots in the schedule are full.",
        "",
        "我操作电脑的时候，妈妈的手机响了，其他妈妈也听见了。",
        "杂种优势在水稻育种中的应用；智障儿童的教育；沙雕艺术节在海边举行。",
        "二逼平衡树可以用线段树套平衡树实现。",
        "《不动产登记办证指南》由办证大厅印发，服务热线由市民热线承办，取消分组后时刻章节分明。",
        "该条例规定，开具发票应当如实；贷款人应当审查借款人的资信；组织考试作弊的，依法处罚。",
        "患者早泄、阳痿，医生建议先查激素，再考虑药物治疗。",
        "The fire retardant was tested; the bastard file is coarser than the second cut.",
        "The court held that the loan was void because interest was usurious.",
    ],
)
def test_ordinary_text_is_not_covered(text: str) -> None:
    """Law, medicine, craft, chess of words: what only resembles the vocabulary costs nothing."""
    assert covered(text) == NOTHING


def test_files_add_to_or_replace_the_lists(tmp_path: Path) -> None:
    """One term a line with comments, plain or compressed; a list names the file, builtin, both, or nothing."""
    (tmp_path / "own.txt").write_text("# ours\n火星旅行\n\nmoon trip  # two words\n🖕\n", encoding="utf-8-sig")
    (tmp_path / "more.txt.gz").write_bytes(gzip.compress("金星旅行\n".encode()))
    own, more = str(tmp_path / "own.txt"), str(tmp_path / "more.txt.gz")
    text = "金星旅行 火星旅行 MOON-trip 博彩"  # 4 + 8 + 2 + 4 characters in units
    assert covered(text, VocabulariesConfig(gambling=(own,)))["gambling_share"] == 12 / 18
    assert covered(text, VocabulariesConfig(gambling=("builtin", own, more)))["gambling_share"] == 1.0
    assert covered(text, VocabulariesConfig(gambling=()))["gambling_share"] == 0.0
    assert covered(text, VocabulariesConfig(custom=(more,))) == NOTHING | {
        "gambling_share": 2 / 18,
        "custom_share": 4 / 18,
    }


def test_a_term_may_stand_in_two_lists(tmp_path: Path) -> None:
    """It then counts for both."""
    (tmp_path / "own.txt").write_text("博彩")
    found = covered("博彩网站与网站博彩", VocabulariesConfig(custom=(str(tmp_path / "own.txt"),)))
    assert found == NOTHING | {"gambling_share": 6 / 9, "custom_share": 4 / 9}


def test_unusable_files_are_refused(tmp_path: Path) -> None:
    """Missing, empty and not UTF-8: each names the key and the file."""
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "gbk.txt").write_bytes("赌场".encode("gbk"))
    for name, message in [("none.txt", "cannot read"), ("empty.txt", "holds no term"), ("gbk.txt", "cannot read")]:
        with pytest.raises(InputError, match=rf"vocabularies\.porn: .*{message}|{message}.*{name}"):
            SpamVocabulary(VocabulariesConfig(porn=(str(tmp_path / name),)))


def test_digest_follows_the_terms(tmp_path: Path) -> None:
    """A changed file is a changed list; its order, comments and repetitions are not."""
    path = tmp_path / "own.txt"

    def digest(text: str) -> str:
        path.write_text(text)
        return SpamVocabulary(VocabulariesConfig(custom=(str(path),))).digest()

    assert digest("甲乙\n丙丁") == digest("丙丁\n# x\n甲乙\n甲乙")
    assert digest("甲乙\n丙丁") != digest("甲乙\n丙")
    assert SpamVocabulary(DEFAULTS).digest() != SpamVocabulary(VocabulariesConfig(porn=())).digest()


TERMS = st.lists(st.text("甲乙丙", min_size=1, max_size=3), min_size=1, max_size=4)


@settings(max_examples=50)
@given(first=TERMS, second=TERMS, texts=st.lists(st.text("甲乙丙丁", max_size=12), min_size=1, max_size=4))
def test_covered_characters_equal_a_plain_count(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str], texts: list[str]
) -> None:
    """Two overlapping lists over several texts, against marking characters one by one."""
    paths = []
    for terms in (first, second):
        paths.append(tmp_path_factory.mktemp("terms") / "terms.txt")
        paths[-1].write_text("\n".join(terms), encoding="utf-8")
    config = VocabulariesConfig(gambling=(str(paths[0]),), porn=(str(paths[1]),))
    found = SpamVocabulary(config).measure(units_of(texts))
    for terms, signal in ((first, "gambling_share"), (second, "porn_share")):
        for text, share in zip(texts, found[signal], strict=True):
            marked = {
                place
                for term in terms
                for at in range(len(text))
                if text.startswith(term, at)
                for place in range(at, at + len(term))
            }
            assert share == len(marked) / max(len(text), 1)
