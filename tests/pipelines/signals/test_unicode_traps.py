"""Text that trips careless code is measured as what it is, and the default rules keep it."""

import pyarrow as pa
import pytest

from ctllm.pipelines.rulesets import evaluate
from ctllm.pipelines.signals.measure import Measurer
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import DOCUMENTS
from ctllm.schemas.rules import RulesConfig

TEXTS = {
    "traditional": (
        "那年冬天，祖母死了，父親的差使也交卸了，正是禍不單行的日子。我從北京到徐州，打算跟著父親奔喪回家。到徐州見著"
        "父親，看見滿院狼藉的東西，又想起祖母，不禁簌簌地流下眼淚。"
    ),
    "extension planes": (
        "𠀀𠀁與𪚥皆為罕見之字，收於字書之中而今人不識。編者於此逐一考其音義，並錄𤭢、𥻗、𦥑、𧆌諸字，以供後學查考。"
        "若遇𰻞字，則為麵名，關中人所造也，其筆畫之繁為諸字之冠。"
    ),
    "full-width Latin": (
        "公司于１９９８年推出了Ｗｉｎｄｏｗｓ平台的第一个版本，随后又移植到Ｌｉｎｕｘ上。这一版的界面没有什么变化，"
        "但安装程序已经重写，用户不必再自己编译内核模块了。"
    ),
    "emoji sequences": (
        "周末我们一家👨‍👩‍👧‍👦去了海边🏖️，孩子们在沙滩上堆了一个很大的城堡，还捡了许多贝壳。回来的路上下起了雨🌧️，"
        "车里放着老歌，大家都唱了起来，谁也不觉得累👍🏽。"
    ),
    "zero-width characters": (
        "这\u200b篇\u200b文\u200b章\u200b讨论的是如何在编辑器里看见那些看不见的字符。\ufeff作者说，零宽空格常常是从网页"
        "上复制来的，它不占位置，却会让查找失败，所以最好在保存之前把它们去掉。"
    ),
    "mixed technical prose": (
        "如果你用的是 Kubernetes 1.28，那么 `kubectl debug node/my-node -it --image=busybox` 就可以直接"
        "进入节点排查问题。"
        "注意 Pod 的 restartPolicy 必须是 Never，否则 kubelet 会不断地重启它；日志在 /var/log/pods 下面。"
    ),
    "classical without punctuation": (
        "臣亮言先帝創業未半而中道崩殂今天下三分益州疲弊此誠危急存亡之秋也然侍衛之臣不懈於內忠志之士忘身於外者蓋追先帝之殊"
        "遇欲報之於陛下也誠宜開張聖聽以光先帝遺德恢弘志士之氣"
    ),
    "poetry": "君不见黄河之水天上来，\n奔流到海不复回。\n君不见高堂明镜悲白发，\n朝如青丝暮成雪。\n"
    "人生得意须尽欢，\n莫使金樽空对月。",
    "table": (
        "下表给出了三种算法在同一台机器上的运行时间，单位是毫秒，每一项都取五次中最好的一次。\n"
        "| 算法 | 一万个数 | 十万个数 |\n| --- | --- | --- |\n| 快速排序 | 3 | 38 |\n| 归并排序 | 4 | 45 |\n"
        "可以看到两者相差不大，但快速排序不需要额外的空间，所以在内存紧张的时候更合适。"
    ),
}
CODE = (
    "def 面积(宽, 高):\n    # 单位都是米；负数没有意义，所以直接报错\n"
    "    if 宽 < 0 or 高 < 0:\n        raise ValueError('不能为负')\n"
    "    return 宽 * 高\n\n\n# 例子：一间三米乘四米的屋子\nprint(面积(3, 4))\n"
)


@pytest.fixture(scope="module")
def measurer() -> Measurer:
    """One measurer for all tests of this file."""
    return Measurer(CurationConfig())


def measured(measurer: Measurer, text: str) -> pa.RecordBatch:
    """Signals of one text."""
    columns = [
        pa.array([{"text": text, "lang_score": 1.0}.get(field.name, "" if pa.types.is_string(field.type) else 0)])
        for field in DOCUMENTS
    ]
    arrays = [column.cast(field.type) for column, field in zip(columns, DOCUMENTS, strict=True)]
    return measurer.measure(pa.RecordBatch.from_arrays(arrays, schema=DOCUMENTS))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_unusual_chinese_is_kept(measurer: Measurer, text: str) -> None:
    """No default rule mistakes rare characters, emoji, verse, tables or commands for rubbish."""
    kept, reasons = evaluate(measured(measurer, text), pa.array(["zh"]), rules=RulesConfig())
    assert reasons.to_pylist() == [[]]
    assert kept.all()


def test_code_with_chinese_comments_is_kept(measurer: Measurer) -> None:
    """Chinese names and comments are code like any other."""
    signals = measured(measurer, CODE)
    assert evaluate(signals, pa.array(["code"]), rules=RulesConfig())[1].to_pylist() == [[]]
    assert signals.column("comment_share")[0].as_py() == pytest.approx(2 / 7)


@pytest.mark.parametrize(
    ("text", "signal", "expected"),
    [
        ("𠀀𪚥𰻞", "han_share", 1.0),
        ("𠀀𪚥𰻞", "num_words", 3),
        ("𠀀𪚥𰻞", "num_chars", 3),
        ("Ｗｉｎ１０", "latin_share", 3 / 5),
        ("Ｗｉｎ１０", "digit_share", 2 / 5),
        ("👨\u200d👩\u200d👧", "symbol_share", 3 / 5),
        ("👨\u200d👩\u200d👧", "num_words", 0),
        ("汉\u200b字\ufeff", "num_words", 2),
        ("汉\u200b字\ufeff", "whitespace_share", 0.0),
        ("cafe\u0301", "num_words", 1),
        ("cafe\u0301", "mean_word_chars", 5.0),
        ("學而時習之", "stop_word_share", 3 / 5),
        ("汉字 English 混排", "num_words", 5),
    ],
)
def test_characters_are_what_unicode_says(measurer: Measurer, text: str, signal: str, expected: float) -> None:
    """Planes, widths, joiners and combining marks are counted by code point and class, not by bytes or looks."""
    assert measured(measurer, text).column(signal)[0].as_py() == pytest.approx(expected)
