"""Break a paragraph so that the lines come out evenly, then justify it.

A greedy wrapper fills each line as far as possible and may leave an ugly gap
later on. Here the total of the squared leftover widths is minimised instead.
"""

from functools import lru_cache


def break_lines(words, width):
    longest = max((len(w) for w in words), default=0)
    if longest > width:
        raise ValueError(f"a word of {longest} characters cannot fit {width}")

    @lru_cache(maxsize=None)
    def best_from(start):
        """Return (cost, index of the first word on the following line)."""
        if start == len(words):
            return 0, start
        options = []
        used = -1                               # cancels the first space
        for end in range(start, len(words)):
            used += 1 + len(words[end])
            if used > width:
                break
            last_line = end + 1 == len(words)
            slack = 0 if last_line else (width - used) ** 2
            options.append((slack + best_from(end + 1)[0], end + 1))
        return min(options)

    lines, start = [], 0
    while start < len(words):
        stop = best_from(start)[1]
        lines.append(words[start:stop])
        start = stop
    return lines


def stretch(line, width):
    """Spread the missing blanks over the gaps, the left ones first."""
    if len(line) == 1:
        return line[0]
    blanks = width - sum(map(len, line))
    each, extra = divmod(blanks, len(line) - 1)
    pieces = [word + " " * (each + (i < extra)) for i, word in enumerate(line[:-1])]
    return "".join(pieces) + line[-1]


def justify(text, width):
    *full, last = break_lines(text.split(), width) or [[]]
    return "\n".join([stretch(line, width) for line in full] + [" ".join(last)])


if __name__ == "__main__":
    print(justify(
        "The harbour master counted the gulls on the breakwater every morning, "
        "and wrote the number down, although nobody had ever asked him to.", 28))
