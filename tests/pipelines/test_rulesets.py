"""Rules decide from signals: bounds inclusive, all failing rules listed in order, None off, NaN never fails."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.rulesets import evaluate
from ctllm.pipelines.signals.measure import Measurer
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import DOCUMENTS
from ctllm.schemas.rules import CodeRules, CtllmZhRules, EnRules, RulesConfig, ZhRules
from ctllm.schemas.signals import SIGNALS

CTLLM = RulesConfig(zh_set="ctllm_zh", ctllm_zh=CtllmZhRules(as_released=False))
SETS = [(lane, RulesConfig()) for lane in ("zh", "en", "code")] + [("zh", CTLLM)]
BOUNDS = [
    (lane, rules, rule) for lane, rules in SETS for rule in rules.of_lane(lane).rules() if rule.threshold is not None
]


def signal_rows(rows: list[dict[str, float]]) -> pa.Table:
    """Signals that pass every default rule, but for the values given."""
    fine = {"num_chars": 2000, "num_words": 400, "mean_word_chars": 4.5, "stop_word_share": 0.3, "han_share": 0.8,
            "punctuation_share": 0.1, "char_entropy": 5.0, "end_mark_line_share": 0.9, "alnum_share": 0.8,
            "num_prose_chars": 1800,
            "prose_share": 0.9,
            "lang_score": 0.9, "ctllm_num_sentences": 40, "ctllm_num_chars": 2000, "ctllm_mean_word_chars": 1.6,
            "ctllm_num_punctuation": 200, "ctllm_distinct_char_share": 0.3, "ctllm_char_entropy": 5.0,
            "ctllm_lang_score": 0.9}  # fmt: skip
    columns = {
        field.name: pa.array([{**fine, **row}.get(field.name, 0) for row in rows], field.type) for field in SIGNALS
    }
    return pa.table(columns, schema=SIGNALS)


def decide(rows: list[dict[str, float]], lane: str, rules: RulesConfig | None = None) -> list[list[dict[str, Any]]]:
    """Reasons of documents of one lane."""
    kept, reasons = evaluate(signal_rows(rows), pa.array([lane] * len(rows)), rules=rules or RulesConfig())
    listed: list[list[dict[str, Any]]] = reasons.to_pylist()
    assert kept.tolist() == [not each for each in listed]
    return listed


@pytest.mark.parametrize(("lane", "rules", "rule"), BOUNDS, ids=[f"{lane}-{rule.name}" for lane, _, rule in BOUNDS])
def test_the_bound_itself_is_kept_and_the_next_value_refused(lane: str, rules: RulesConfig, rule: Any) -> None:
    """Minima and maxima are inclusive, to the last float32 or whole number."""
    kind = SIGNALS.field(rule.signal).type
    column = np.dtype(np.int32 if pa.types.is_integer(kind) else np.float32)
    bound = column.type(rule.threshold)
    step = -1 if rule.is_minimum else 1
    beyond = bound + column.type(step) if column.kind == "i" else np.nextafter(bound, column.type(step * np.inf))
    at, over = decide([{rule.signal: bound}, {rule.signal: beyond}], lane, rules)
    assert at == []
    assert over == [{"reason": rule.name, "value": float(beyond), "threshold": rule.threshold}]


def test_all_failing_rules_are_listed_in_rule_order() -> None:
    """A verdict shows everything that is wrong with a document, not the first thing."""
    (reasons,) = decide([{"digit_share": 0.9, "num_chars": 10, "menu_share": 1.0}], "zh")
    assert [each["reason"] for each in reasons] == ["min_num_chars", "max_menu_share", "max_digit_share"]


def test_documents_meet_the_rules_of_their_lane_only() -> None:
    """Code may consist of digits and menus; a document of no lane is refused as such."""
    rows = signal_rows([{"menu_share": 1.0}] * 4)
    kept, reasons = evaluate(rows, pa.array(["zh", "en", "code", "other"]), rules=RulesConfig())
    assert kept.tolist() == [False, True, True, False]
    assert [[each["reason"] for each in row] for row in reasons.to_pylist()] == [
        ["max_menu_share"],
        [],
        [],
        ["other_language"],
    ]


def test_emptied_document_fails_before_all_rules() -> None:
    """Whatever its lane; the others are judged as ever."""
    rows, lanes = signal_rows([{}, {}, {}]), pa.array(["zh", "other", "zh"])
    _, before = evaluate(rows, lanes, rules=RulesConfig())
    kept, reasons = evaluate(rows, lanes, rules=RulesConfig(), emptied=np.array([True, True, False]))
    names, known = ([[each["reason"] for each in row] for row in each.to_pylist()] for each in (reasons, before))
    assert names == [["nothing_left", *known[0]], ["nothing_left", *known[1]], known[2]]
    assert not kept[:2].any()


def test_none_switches_a_rule_off_and_zero_is_a_bound() -> None:
    """Null in a config means off; 0 means none at all."""
    row = [{"digit_share": 0.9}]
    assert decide(row, "zh", RulesConfig(zh=ZhRules(max_digit_share=None))) == [[]]
    assert [
        each["reason"] for each in decide([{"url_share": 1e-6}], "zh", RulesConfig(zh=ZhRules(max_url_share=0)))[0]
    ] == ["max_url_share"]


def test_a_signal_that_is_not_a_number_never_fails() -> None:
    """What could not be measured is no reason to drop a document."""
    assert decide([{"digit_share": np.nan, "char_entropy": np.nan}], "zh") == [[]]


def test_a_fractional_bound_on_a_count_is_not_rounded() -> None:
    """min_num_chars: 49.5 refuses 49."""
    rules = RulesConfig(zh=ZhRules(min_num_chars=49.5))
    assert [len(each) for each in decide([{"num_chars": 49}, {"num_chars": 50}], "zh", rules)] == [1, 0]


def test_english_by_label_with_a_low_score_is_not_english() -> None:
    """Label and score both count: a text that the identifier calls English with 0.39 is refused, with 0.4 it stays."""
    at, below = decide([{"lang_score": 0.4}, {"lang_score": 0.39}], "en")
    assert [at, [each["reason"] for each in below]] == [[], ["min_lang_score"]]


def test_as_released_repetition_never_removes_and_all_else_does() -> None:
    """The authors' program ignores what its repetition stage finds; one switch decides whether it counts."""
    rows = [{f"ctllm_top_{n}gram_share": 0.9} for n in (2, 3, 4)] + [{"ctllm_digit_share": 0.9}]
    released = RulesConfig(zh_set="ctllm_zh", ctllm_zh=CtllmZhRules(as_released=True))
    digits = [{"reason": "max_ctllm_digit_share", "value": pytest.approx(0.9), "threshold": 0.3}]
    assert decide(rows, "zh", released) == [[], [], [], digits]
    intended = [[each["reason"] for each in row] for row in decide(rows, "zh", CTLLM)]
    assert intended == [[f"max_ctllm_top_{n}gram_share"] for n in (2, 3, 4)] + [["max_ctllm_digit_share"]]


def test_the_zh_lane_meets_the_chosen_rules_only() -> None:
    """With ctllm_zh a menu passes and an unlisted length does not; English meets its own rules either way."""
    rows = [{"menu_share": 1.0, "ctllm_num_chars": 10_001}]
    assert [[each["reason"] for each in row] for row in decide(rows, "zh", CTLLM)] == [["max_ctllm_num_chars"]]
    assert [[each["reason"] for each in row] for row in decide(rows, "zh")] == [["max_menu_share"]]
    assert decide(rows, "en", CTLLM) == decide(rows, "en") == [[]]


def test_signals_that_were_not_measured_are_null_and_never_fail() -> None:
    """Without the authors' signals their rules refuse nothing."""
    signals = Measurer(CurationConfig()).measure(_document(PROSE))
    names = [name for name in SIGNALS.names if name.startswith("ctllm_")]
    assert len(names) == 16
    assert all(signals.column(name).null_count == 1 for name in names)
    assert evaluate(signals, pa.array(["zh"]), rules=CTLLM)[1].to_pylist() == [[]]


def test_no_documents_give_no_verdicts() -> None:
    """An empty split is decided without an error, with the schema of every other."""
    kept, reasons = evaluate(signal_rows([]), pa.array([], pa.string()), rules=RulesConfig())
    assert len(kept) == len(reasons) == 0
    assert str(reasons.type) == str(evaluate(signal_rows([{}]), pa.array(["zh"]), rules=RulesConfig())[1].type)


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32), st.sampled_from(["zh", "en"])), max_size=8)
)
def test_vectorised_decisions_equal_one_by_one(rows: list[tuple[float, float, str]]) -> None:
    """Deciding a batch gives what deciding each document alone gives."""
    table = signal_rows([{"digit_share": digits, "menu_share": menu} for digits, menu, _ in rows])
    lanes = pa.array([lane for _, _, lane in rows], pa.string())
    _, together = evaluate(table, lanes, rules=RulesConfig())
    alone = [
        evaluate(table.slice(i, 1), lanes[i : i + 1], rules=RulesConfig())[1].to_pylist()[0] for i in range(len(rows))
    ]
    assert together.to_pylist() == alone


def reasons_of(text: str, lane: str) -> list[str]:
    """Names of the rules that one text fails."""
    signals = Measurer(CurationConfig()).measure(_document(text))
    _, reasons = evaluate(signals, pa.array([lane]), rules=RulesConfig())
    return [each["reason"] for each in reasons.to_pylist()[0]]


def _document(text: str) -> pa.RecordBatch:
    columns = [pa.array([text], field.type) if field.name == "text" else _blank(field) for field in DOCUMENTS]
    return pa.RecordBatch.from_arrays(columns, schema=DOCUMENTS)


def _blank(field: pa.Field) -> pa.Array:
    return pa.array(["" if pa.types.is_string(field.type) else 1], field.type)


PROSE = (
    "春天的早晨，河边的柳树刚刚发芽。老人提着鱼竿慢慢走来，在石阶上坐下，点了一支烟，看着水面上的雾一点一"
    "点散开。他说，鱼不着急，人也不必着急。"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ((
            "首页\n新闻\n体育\n财经\n娱乐\n科技\n汽车\n房产\n教育\n关于我们\n联系我们\n广告服务\n网站地图\n人才招"
            "聘\n"
        ) * 2, "max_menu_share"),
        (
            "减肥药,减肥产品,减肥方法,快速减肥,减肥茶,瘦身减肥,减肥瘦身,减肥食谱,减肥药排行,产后减肥,减肥仪器,中"
            "医减肥,减肥操",
            "max_top_2gram_share",
        ),
        (
            "澳门赌场真人百家乐，注册送彩金。时时彩、老虎机、六合彩平台欢迎投注，返水高，提款快，是您最好的选择，"
            "博彩公司信誉第一。",
            "max_gambling_share",
        ),
        (PROSE.encode().decode("gbk", "replace"), "max_replacement_share"),
        (PROSE.encode("gbk").decode("utf-8", "replace"), "max_replacement_share"),
        ("商品名称：\n价格：\n加入购物车", "min_num_chars"),
        (PROSE * 4, "max_duplicate_5gram_share"),
        ("本页面没有内容，请返回首页。\n" * 12, "max_duplicate_line_share"),
        (
            "2019 10 13 15:24:42 0571 8888 2020 11 12 33 44 55 66 77 88 的了 3.14159 2653 58979 323846 2643 38327"
            " 950288",
            "max_digit_share",
        ),
    ],
)  # fmt: skip
def test_what_must_not_be_trained_on_is_caught(text: str, reason: str) -> None:
    """Menus, keyword stuffing, gambling, mojibake, templates and repeated text are refused for their own reason."""
    assert reason in reasons_of(text, "zh")


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        "學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？人不知而不慍，不亦君子乎？曾子曰：吾日三省吾身，為人謀"
        "而不忠乎？與朋友交而不信乎？",
        "风起的时候\n我在窗前坐着\n把没有写完的信\n又读了一遍\n\n雨是昨夜停的\n院子里还湿着\n你种的那株石榴\n"
        "开了第一朵花\n\n我没有告诉任何人\n只是把灯熄了",
        "江雪\n千山鸟飞绝，\n万径人踪灭。\n孤舟蓑笠翁，\n独钓寒江雪。\n\n登鹳雀楼\n白日依山尽，\n黄河入海流。"
        "\n欲穷千里目，\n更上一层楼。",
        "在 Linux 上安装 Docker 之前，先确认内核版本不低于 4.0。执行 `sudo apt-get update && sudo apt-get ins"
        "tall docker.io`，然后用 `docker run hello-world` 检查安装是否成功。如果出现 permission denied，把当"
        "前用户加入 docker 组即可。",
        "“你来了？”\n“来了。”\n“外面还下雨吗？”\n“小了。”\n“吃过饭没有？”\n“路上吃了两个包子。”\n“那就坐一会"
        "儿吧。”\n“不坐了，还要赶车。”\n她没有再留他，只把伞递了过去。",
        "第一条　为了规范合同的订立和履行，保护当事人的合法权益，制定本办法。\n第二条　本办法适用于平等主体之"
        "间订立的合同。\n第三条　当事人应当遵循公平、诚信的原则。\n第四条　依法成立的合同，受法律保护。\n第五"
        "条　本办法自公布之日起施行。",
        "各季度产量如下表所示，单位为吨，数据由各车间上报后汇总，四舍五入到整数。\n| 季度 | 一车间 | 二车间 |"
        " 合计 |\n| --- | --- | --- | --- |\n| 一季度 | 120 | 80 | 200 |\n| 二季度 | 135 | 95 | 230 |\n二季度"
        "比一季度增长了一成半，主要因为二车间的新设备已经投产。",
    ],
    ids=["prose", "classical", "free verse", "quatrains", "mixed", "dialogue", "statute", "table"],
)  # fmt: skip
def test_what_is_worth_reading_survives(text: str) -> None:
    """Classical and modern, verse, dialogue, statutes, tables and mixed prose pass every Chinese rule."""
    assert reasons_of(text, "zh") == []


def test_english_prose_survives_and_a_list_of_links_does_not() -> None:
    """English rules keep a paragraph and refuse navigation for its missing sentences."""
    prose = (
        "The ferry left the harbour a little after six, and by the time the sun was up we were out of sight of land. "
        "Nobody spoke. My uncle sat at the stern with a rope across his knees, mending it as he had done every morning "
        "of my childhood, and the gulls followed us as far as the last buoy before they turned back."
    )
    links = "\n".join(
        f"{word} Archive\n{word} Downloads" for word in ("Alpha", "Beta", "Gamma", "Delta", "Kappa", "Sigma") * 4
    )
    assert reasons_of(prose, "en") == []
    assert {"min_stop_word_share", "min_end_mark_line_share"} <= set(reasons_of(links, "en"))


def test_code_survives_and_minified_code_does_not() -> None:
    """Code rules keep an ordinary function and refuse one line of thousands of characters."""
    code = (
        "def area(width, height):\n    # both in metres\n    if width < 0 or height < 0:\n        raise Value"
        "Error\n    return width * height\n"
    )
    assert reasons_of(code, "code") == []
    assert reasons_of("a=b+c;" * 500, "code") == ["max_max_line_chars", "max_mean_code_line_chars"]


def test_defaults_are_rule_sets_of_their_lanes() -> None:
    """A config without rules means the recommended rules."""
    assert RulesConfig() == RulesConfig(zh=ZhRules(), en=EnRules(), code=CodeRules())
