"""Lines that hold what sites put on every page: rights, registration numbers, cookies, log-in; and what C4 leaves out.

A phrase is matched as a sequence of units (`words.Units`), so case, width, traditional characters and punctuation
inside do not hide it, and an English word only matches whole.
"""

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.lines import Lines
from ctllm.pipelines.signals.phrases import Matches, PhraseIndex, hash_phrases
from ctllm.pipelines.signals.words import Units, units_of

MAX_LINE_CHARS = 200  # a longer line is a text about the thing; a cookie notice has 150, footers up to 200; chosen

BOILERPLATE_PHRASES = (
    "版权所有", "版权声明", "免责声明", "未经授权", "未经许可", "未经书面授权", "禁止转载", "转载请注明", "icp备",
    "icp证", "公网安备", "增值电信业务经营许可证", "网络文化经营许可证", "信息网络传播视听节目许可证",
    "互联网新闻信息服务",
    "违法和不良信息举报", "不良信息举报", "举报电话", "举报邮箱", "技术支持", "登录 注册", "注册 登录", "立即注册",
    "免费注册", "用户登录", "忘记密码", "记住密码", "扫一扫", "扫码关注", "微信公众号", "设为首页", "加入收藏",
    "网站地图", "关于我们", "联系我们", "友情链接", "返回顶部", "隐私政策", "用户协议", "服务条款", "上一篇", "下一篇",
    "相关阅读", "相关推荐", "热门推荐", "猜你喜欢", "分享到", "发表评论", "all rights reserved", "copyright",
    "terms of use",
    "terms of service", "terms and conditions", "privacy policy", "cookie policy", "privacy notice", "uses cookies",
    "use cookies", "use of cookies", "accept cookies", "accept all cookies", "cookie settings", "powered by",
    "log in", "login", "sign in", "sign up", "register now", "forgot your password", "forgot password", "subscribe",
    "our newsletter", "contact us", "about us", "site map", "sitemap", "skip to content", "skip to main content",
    "back to top", "share this", "share on facebook", "share on twitter", "follow us", "leave a comment",
    "leave a reply", "post a comment", "related posts", "related articles", "add to cart", "shopping cart",
    "click here", "read more", "view all", "no comments yet", "your email address will not be published",
)  # fmt: skip
C4_PHRASES = ("javascript", "lorem ipsum")  # C4, Raffel et al. 2020, section 2.2


class BoilerplateIndex:
    """Both lists, ready for matching."""

    def __init__(self) -> None:
        self.terms = [*BOILERPLATE_PHRASES, *C4_PHRASES]
        self.index = PhraseIndex.of_terms(self.terms)
        c4 = units_of([*C4_PHRASES])
        self._is_c4 = np.isin(self.index.hashes, hash_phrases(c4, c4.offsets[:-1], np.diff(c4.offsets)))

    def measure(self, lines: Lines, units: Units, matches: Matches | None = None) -> dict[str, np.ndarray]:
        """`boilerplate_share`, `c4_line_share` of each text: characters of such lines among all, (texts,), float64.

        For the first, lines of at most `MAX_LINE_CHARS`. `matches` of `index` where they are found already.
        """
        matches = matches or self.index.find(units)
        marked_2L = np.zeros((2, len(lines.ends)), np.bool_)
        last = matches.starts + matches.lengths - 1
        places = units.starts[matches.starts], units.starts[last]
        _mark_lines(lines.ends, *places, self._is_c4[matches.phrases], marked_2L)
        shares_2T = np.zeros((2, len(lines.offsets) - 1))
        _sum_marked(lines.starts, lines.ends, lines.offsets, marked_2L, shares_2T)
        return {"boilerplate_share": shares_2T[0], "c4_line_share": shares_2T[1]}


@kernel
def _sum_marked(
    starts: np.ndarray, ends: np.ndarray, offsets: np.ndarray, marked_2L: np.ndarray, shares_2T: np.ndarray
) -> None:
    """Characters of marked lines among those of all lines of a text; of the first kind only lines that are not long."""
    for text in range(offsets.shape[0] - 1):
        total = footers = c4 = 0
        for line in range(offsets[text], offsets[text + 1]):
            length = ends[line] - starts[line]
            total += length
            footers += length if marked_2L[0, line] and length <= MAX_LINE_CHARS else 0
            c4 += length if marked_2L[1, line] else 0
        shares_2T[0, text], shares_2T[1, text] = footers / max(total, 1), c4 / max(total, 1)


@kernel
def _mark_lines(
    line_ends: np.ndarray,
    firsts: np.ndarray,
    lasts: np.ndarray,
    is_c4: np.ndarray,
    marked_2L: np.ndarray,
) -> None:
    """Marks the lines that hold a whole match, from the begin of its first unit to that of its last."""
    line = 0
    for match in range(firsts.shape[0]):
        while line_ends[line] <= firsts[match]:
            line += 1
        if lasts[match] < line_ends[line]:
            marked_2L[np.int64(is_c4[match]), line] = True
