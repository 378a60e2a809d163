"""A calculator with named values, built on operator binding powers."""

import math
import operator
import re

TOKEN = re.compile(r"\s*(?:(\d+\.?\d*)|([A-Za-z_]\w*)|(.))")

# symbol -> (binding power, right-associative?, function)
INFIX = {
    "+": (10, False, operator.add),
    "-": (10, False, operator.sub),
    "*": (20, False, operator.mul),
    "/": (20, False, operator.truediv),
    "^": (40, True, operator.pow),
}
UNARY_POWER = 30    # above * and below ^, so that -2^2 means -(2^2)


class Calculator:
    def __init__(self, **names):
        self.names = {"pi": math.pi, **names}

    def evaluate(self, source):
        self._tokens = [m.groups() for m in TOKEN.finditer(source.rstrip())]
        self._tokens.append((None, None, "<end>"))
        value = self._expression(0)
        if self._peek() != "<end>":
            raise SyntaxError(f"did not expect {self._peek()!r}")
        return value

    def _peek(self):
        number, name, symbol = self._tokens[0]
        return symbol or name or number

    def _expression(self, minimum):
        left = self._operand()
        while self._peek() in INFIX:
            power, right_assoc, apply = INFIX[self._peek()]
            if power < minimum:
                break
            self._tokens.pop(0)
            left = apply(left, self._expression(power if right_assoc else power + 1))
        return left

    def _operand(self):
        number, name, symbol = self._tokens.pop(0)
        if number:
            return float(number)
        if name:
            if name not in self.names:
                raise NameError(f"unknown name {name!r}")
            return self.names[name]
        if symbol == "-":
            return -self._expression(UNARY_POWER)
        if symbol == "(":
            value = self._expression(0)
            if self._tokens.pop(0)[2] != ")":
                raise SyntaxError("a closing bracket is missing")
            return value
        raise SyntaxError(f"expected a value, found {symbol!r}")


if __name__ == "__main__":
    calc = Calculator(width=3, height=4)
    for line in ("1 + 2 * 3", "-2 ^ 2", "2 ^ 3 ^ 2", "(width^2 + height^2) ^ 0.5", "8 / 4 / 2"):
        print(f"{line:30} = {calc.evaluate(line):g}")
