"""What the judge is told, in Chinese and in our own words, and how its verdicts and refusals are read."""

import re
from collections.abc import Sequence

SCORE_PROMPT = """\
你是一位严格而公正的评审。下面是用户的提问和一个人工智能助手的回答。请从是否有用、是否切题、是否正确、是否深入、是否有创意、\
细节是否充分这几个方面评价{last}回答。回答的长短本身不是优点，不确定的事实按错误处理。{with_reference}

先用两三句话说明理由，然后另起一行，严格按下面的格式给出1到10的整数分（1为最差，10为最好）：
评分：[[分数]]

{conversation}{reference}"""

PAIR_PROMPT = """\
你是一位严格而公正的评审。下面是用户的提问和两个人工智能助手的回答。请比较哪一个更好地满足了用户的要求，考虑是否有用、是否切题、\
是否正确、是否深入、是否有创意、细节是否充分。不要受回答的先后次序、长短或助手名字的影响。{with_reference}

先用两三句话说明理由，然后另起一行，严格按下面的格式给出结论：甲更好写[[甲]]，乙更好写[[乙]]，不分高下写[[平]]。

【助手甲】
{first}
【助手甲完】

【助手乙】
{second}
【助手乙完】{reference}"""

_SCORE = re.compile(r"\[\[\s*(\d+)(?:\.0)?\s*(?:分|/\s*10)?\s*\]\]")
_VERDICT = re.compile(r"\[\[\s*([甲乙平])\s*\]\]")
REFUSALS_ZH = (
    "我不能",
    "我无法",
    "无法提供",
    "不能提供",
    "无法回答",
    "不能回答",
    "不便回答",
    "抱歉，我",
    "对不起，我",
    "很抱歉",
)
REFUSALS_EN = ("i can't", "i cannot", "i can not", "i'm sorry", "i am sorry", "i'm unable", "i am unable", "i won't")
REFUSAL_CHARS = 40  # chosen: a refusal is said at once; later such words belong to the advice
_WITH_REFERENCE = "评价正确性时以参考答案为准。"


def score_prompt(turns: Sequence[str], answers: Sequence[str], *, reference: str | None) -> str:
    """Asks for a score of the last answer, the turns before shown."""
    return SCORE_PROMPT.format(
        last="最后一个" if len(answers) > 1 else "这个",
        with_reference=_WITH_REFERENCE if reference else "",
        conversation=_conversation(turns, answers),
        reference=_reference(reference),
    )


def pair_prompt(turns: Sequence[str], *, first: Sequence[str], second: Sequence[str], reference: str | None) -> str:
    """Asks which of two conversations is better."""
    return PAIR_PROMPT.format(
        with_reference=_WITH_REFERENCE if reference else "",
        first=_conversation(turns, first),
        second=_conversation(turns, second),
        reference=_reference(reference),
    )


def read_score(reply: str) -> int | None:
    """The last score in a reply, 1 to 10; None without one."""
    found = [int(each) for each in _SCORE.findall(reply)]
    return found[-1] if found and 1 <= found[-1] <= 10 else None


def read_verdict(reply: str) -> str | None:
    """甲, 乙 or 平: the last in a reply; None without one."""
    found = _VERDICT.findall(reply)
    return found[-1] if found else None


def is_refusal(answer: str) -> bool:
    """Whether an answer begins by declining, by its words; polite evasions are missed."""
    beginning = answer.strip()[:REFUSAL_CHARS].lower().replace("’", "'")
    return any(words in beginning for words in (*REFUSALS_ZH, *REFUSALS_EN))


def _conversation(turns: Sequence[str], answers: Sequence[str]) -> str:
    pairs = zip(turns, answers, strict=False)
    return "\n\n".join(f"【用户】\n{turn}\n\n【助手】\n{answer}" for turn, answer in pairs)


def _reference(reference: str | None) -> str:
    return f"\n\n【参考答案】\n{reference}" if reference else ""
