"""How copies are changed."""

from ctllm.examples.corpus import variants


def test_reworded_changes_a_word_in_three_of_ten_sentences() -> None:
    """One word is exchanged in 30 % of the sentences and nothing else is touched."""
    text = "".join(f"因为今天是第{number}天，我们都在这里。" for number in "一二三四五六七八九十")
    changed = variants.reworded(text, lane="zh", seed="test")
    before, after = text.split("。")[:-1], changed.split("。")[:-1]
    differing = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert len(differing) == 3
    assert all(other == one.replace("因为", "由于") for one, other in differing)


def test_reads_the_same_sees_words_only() -> None:
    """Width, punctuation, line breaks and traditional characters do not count; another word does."""
    text = "这条街，下雨时很静。\nＡ房间没有灯！"
    assert variants.reads_the_same(text, "這條街,下雨時很靜.a房間沒有燈", lane="zh")
    assert not variants.reads_the_same(text, text.replace("很", "挺"), lane="zh")


def test_in_code_only_white_space_is_free() -> None:
    """Tabs for spaces leave a program the same, another operator does not."""
    code = "def f(x):\n    if x:\n        return x + 1\n"
    assert variants.tabs_for_spaces(code) == "def f(x):\n\tif x:\n\t\treturn x + 1\n"
    assert variants.reads_the_same(code, variants.tabs_for_spaces(code), lane="code")
    assert not variants.reads_the_same(code, code.replace("+", "-"), lane="code")


def test_changes_of_form() -> None:
    """Half-width punctuation, joined lines, a lost last paragraph and misread bytes look as they do in the wild."""
    assert variants.half_width("好，走吧！（慢）") == "好,走吧!(慢)"
    assert variants.joined_lines("题目\n\n正文。\n", lane="zh") == "题目正文。"
    assert variants.joined_lines("Title\n\nText.\n", lane="en") == "Title Text."
    assert variants.without_last_paragraph("题\n一。\n二。\n") == "题\n一。\n"
    assert variants.misread_as_latin("中了") == "ä¸\xadäº"  # 了 is e4 ba 86: the last byte is a control character
