"""What copies of a text look like in the wild, and whether two texts have the same words."""

import random
import re
import unicodedata
from functools import cache

import opencc

REWORDED_SHARE = 0.3  # of the sentences, as issue 2 asks

_SENTENCE = re.compile(r"[^。！？.!?\n]*[。！？.!?]+[”’」』\"]?|[^。！？.!?\n]+|\n")
_HALF_WIDTH = str.maketrans("，。！？：；（）", ",.!?:;()")
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")
_LICENCE_LINE = re.compile(r"^\S+ Copyright .*\n", re.MULTILINE)
_CODE_TOKEN = re.compile(r"\w+|[^\w\s]")

_SYNONYMS_ZH = """
因为:由于 但是:可是 可是:不过 非常:十分 一定:必定 后来:随后 现在:如今 已经:早已 还是:仍是 就是:便是 没有:未曾
如果:要是 有时:偶尔 每天:天天 起来:上来 自己:本人 看见:瞧见 知道:晓得 觉得:感到 喜欢:爱好 开始:着手 地方:所在
时候:当口 东西:物件 慢慢:渐渐 忽然:突然 所以:因此 只有:唯有 不是:并非 他们:大伙 我们:咱们 大约:约莫 需要:得要
一个:一名 一次:一回 这些:这般 那些:那般 其中:当中 以后:之后 以前:之前 也:亦 把:将 从:自 在:于 和:与 很:挺
都:全 又:再 说:讲
"""
_SYNONYMS_EN = """
but:yet because:since small:little large:big began:started old:aged often:frequently never:hardly always:forever
people:folk house:home said:remarked asked:enquired about:around before:until after:once every:each many:numerous
made:produced found:discovered think:believe without:lacking first:earliest last:final between:amid only:merely
good:fine long:lengthy still:yet most:nearly than:over with:alongside into:inside from:off and:plus that:which
"""


def reworded(text: str, *, lane: str, seed: str) -> str:
    """`text` with one word exchanged in `REWORDED_SHARE` of its sentences, which ones follows from `seed`."""
    pieces = _SENTENCE.findall(text)
    sentences = [number for number, piece in enumerate(pieces) if re.search(r"\w", piece)]
    wanted = round(REWORDED_SHARE * len(sentences))
    order = random.Random(seed).sample(sentences, len(sentences))
    for number in order:
        changed = _exchanged(pieces[number], lane=lane)
        if wanted and changed != pieces[number]:
            pieces[number] = changed
            wanted -= 1
    if wanted:
        raise ValueError(f"{seed}: {wanted} sentences too few hold a word of the synonym list; add some to it")
    return "".join(pieces)


def _exchanged(sentence: str, *, lane: str) -> str:
    for word, other in _synonyms(lane).items():
        pattern = re.escape(word) if lane == "zh" else rf"\b{word}\b"
        if re.search(pattern, sentence):
            return re.sub(pattern, other, sentence, count=1)
    return sentence


@cache
def _synonyms(lane: str) -> dict[str, str]:
    listing = _SYNONYMS_ZH if lane == "zh" else _SYNONYMS_EN
    return dict(pair.split(":") for pair in listing.split())


def half_width(text: str) -> str:
    """Full-width punctuation replaced by its ASCII form, one for one."""
    return text.translate(_HALF_WIDTH)


def joined_lines(text: str, *, lane: str) -> str:
    """All of `text` on one line; Latin words keep a space between them."""
    return ("" if lane == "zh" else " ").join(line.strip() for line in text.splitlines() if line.strip())


@cache
def _converter(name: str) -> opencc.OpenCC:
    return opencc.OpenCC(name)


def to_traditional(text: str) -> str:
    """Simplified characters turned into traditional ones, word by word."""
    return str(_converter("s2t").convert(text))


def rewrapped(text: str, *, header: str, footer: str) -> str:
    """The text with lines of another site before and after it."""
    title, _, body = text.strip().partition("\n")
    return f"{title}\n{header}\n{body.strip()}\n{footer}\n"


def without_last_paragraph(text: str) -> str:
    """The text as a site shows it before one clicks on the next page."""
    return text.strip().rpartition("\n")[0] + "\n"


def tabs_for_spaces(text: str) -> str:
    """Source code indented with tabs."""
    return re.sub(r"^(?: {4})+", lambda match: "\t" * (len(match[0]) // 4), text, flags=re.MULTILINE)


def misread_as_latin(text: str) -> str:
    """UTF-8 that somebody read as Latin-1 and stored without control characters: there is no way back."""
    return re.sub("[\x80-\x9f]", "", text.encode("utf-8").decode("latin-1"))


def reads_the_same(one: str, other: str, *, lane: str) -> bool:
    """Whether two texts differ in nothing but case, width, punctuation, line breaks and traditional characters."""
    return tokens(one, lane=lane) == tokens(other, lane=lane)


def tokens(text: str, *, lane: str) -> list[str]:
    """Words and Han characters, folded; in code every other sign that is not white space too, but for the licence.

    The plain, independent form of what `pipelines.dedup.hashing_form` does fast.
    """
    if lane == "code":
        return _CODE_TOKEN.findall(_LICENCE_LINE.sub("", text))
    return [_simplified(word) for word in _WORD.findall(unicodedata.normalize("NFKC", text).lower())]


@cache
def _simplified(word: str) -> str:
    return str(_converter("t2s").convert(word))
