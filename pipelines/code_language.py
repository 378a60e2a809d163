"""Is it source code, and in which language: by the path's extension, by a language name, or by how its lines look."""

import functools
import re

import numpy as np

from ctllm.pipelines.batch import TextBatch, kernel

_EXTENSIONS = {
    "ada": "adb ads", "assembly": "asm s", "c": "c h", "clojure": "clj cljs", "cpp": "cc cpp cxx hh hpp hxx",
    "csharp": "cs", "css": "css less scss", "cuda": "cu cuh", "d": "d", "dart": "dart", "elixir": "ex exs",
    "elm": "elm", "erlang": "erl hrl", "fortran": "f f90 f95 for", "fsharp": "fs fsx", "go": "go",
    "groovy": "gradle groovy", "haskell": "hs", "java": "java", "javascript": "cjs js jsx mjs", "julia": "jl",
    "kotlin": "kt kts", "lisp": "el lisp", "lua": "lua", "makefile": "mk", "matlab": "m", "nim": "nim",
    "objective-c": "mm", "ocaml": "ml mli", "pascal": "pas pp", "perl": "pl pm", "php": "php", "powershell": "ps1",
    "protobuf": "proto", "python": "py pyi pyx", "r": "r", "ruby": "rb", "rust": "rs", "scala": "scala",
    "scheme": "scm ss", "shell": "bash sh zsh", "solidity": "sol", "sql": "sql", "swift": "swift", "tcl": "tcl",
    "typescript": "ts tsx", "verilog": "sv v", "vhdl": "vhd vhdl", "vue": "vue", "zig": "zig",
}  # fmt: skip
_LANGUAGE_OF = {extension: language for language, names in _EXTENSIONS.items() for extension in names.split()}
# Not "sh" and "ts": in a record's `lang` they are Serbo-Croatian and Tsonga.
_ALIASES = {"bash": "shell", "c#": "csharp", "c++": "cpp", "f#": "fsharp", "golang": "go", "js": "javascript"}

_CODE_LINE = re.compile(
    r"""^[ \t]*(?:
        [{}()\[\];]+ \s*$                                               # closing and opening lines
      | .*[;{}] \s* (?://.*)? $                                         # C family
      | (?:def|class|async\s+def)\s+\w+.*:\s*$ | (?:if|elif|else|for|while|try|except|with)\b.*:\s*$
      | (?:from\s+[\w.]+\s+)?import\s+[\w.*]+ | (?:return|self\.\w+|package|use|using|require|func|fn|end)\b[^.。]*$
      | \#\s*(?:include|define|ifdef|ifndef|endif|pragma)\b | @\w+(?:\(.*\))?\s*$
      | (?:let|const|var|local|my)\s+\$?\w+\s*= | [\w.\[\]]+\s*[-+*/]?=\s*\S+.*[^.。]$
      | [\w.]+\(.*\)\s*$
    )""",
    re.VERBOSE | re.MULTILINE,
)
_COMMENT = re.compile(
    r"""^[ \t]*(?: // | /\* | \* | -- | ; | \#(?!\s*(?:include|define|ifdef|ifndef|endif|pragma)\b) ).*$""",
    re.VERBOSE | re.MULTILINE,
)
_LINE = re.compile(r"^.*\S.*$", re.MULTILINE)

NUM_INSPECTED_CHARS = 4000  # chosen, untested
MIN_CODE_LINES = 5  # fewer lines tell nothing; chosen, untested
MIN_CODE_LINE_SHARE = 0.6  # finds 75 % of code.jsonl.zst without its paths, and 3 of the 943 texts of en_docs.jsonl.zst

_NEWLINE, _TAB, _BLANK, _NOT_ASCII = 0x0A, 0x09, 0x20, 0x80
_MAX_WORD_CHARS = 7  # of the words below


def language_of_path(path: str) -> str | None:
    """The programming language of a file's extension, or None: `language_of_path("src/a.rs") == "rust"`."""
    _, dot, extension = path.rsplit("/", 1)[-1].rpartition(".")
    return _LANGUAGE_OF.get(extension.lower()) if dot else None


def language_of_name(name: str) -> str | None:
    """The programming language called `name` in a record's `lang`, or None where it names none: "C++" is "cpp"."""
    lower = name.strip().lower()
    language = _ALIASES.get(lower, lower)
    return language if language in _EXTENSIONS else None


def looks_like_code(text: str) -> bool:
    """Whether at least `MIN_CODE_LINE_SHARE` of the lines at the start of `text` look like source code.

    Empty lines and comments do not count: a licence at the top of a file says nothing, nor do Markdown's # and *.
    """
    head = _COMMENT.sub("", text[: 2 * NUM_INSPECTED_CHARS])[:NUM_INSPECTED_CHARS]
    num_lines = len(_LINE.findall(head))
    return num_lines >= MIN_CODE_LINES and len(_CODE_LINE.findall(head)) >= MIN_CODE_LINE_SHARE * num_lines


def may_look_like_code(texts: TextBatch, *, candidates: np.ndarray) -> np.ndarray:
    """Which of `candidates` (texts,), bool, `looks_like_code` has to be asked about; for the others it is false.

    A kernel, because the regular expressions hold the GIL: of English and web texts under 2 % remain (2026-11-25).

    Counts the lines with which a match of `_CODE_LINE` can begin: never fewer than there are matches.
    """
    may_be = candidates.copy()
    _count_candidates(texts.codepoints, texts.offsets, may_be)
    return may_be


def _word_codes(words: str) -> tuple[np.int64, ...]:
    """Lower-case words as numbers: base 32, a = 1, as `_word_at` reads them."""
    return tuple(
        np.int64(functools.reduce(lambda code, char: code * 32 + ord(char) - 96, word, 0)) for word in words.split()
    )


_DIRECTIVES = _word_codes("include define ifdef ifndef endif pragma")
_BLOCK_WORDS = _word_codes("if elif else for while try except with")
_LINE_WORDS = _word_codes(
    "def class async from import return self package use using require func fn end let const var local my"
)
_AMBIGUOUS = 2


@kernel
def _count_candidates(codepoints: np.ndarray, offsets: np.ndarray, may_be: np.ndarray) -> None:
    for text in range(offsets.shape[0] - 1):
        if not may_be[text]:
            continue
        end = min(offsets[text + 1], offsets[text] + 2 * NUM_INSPECTED_CHARS)
        start = offsets[text]
        num_left = NUM_INSPECTED_CHARS  # characters without those of comments
        num_lines = num_candidates = 0
        while start < end and num_left > 0:
            stop = start
            while stop < end and codepoints[stop] != _NEWLINE:
                stop += 1
            comment = _is_comment(codepoints, start, stop, end)
            if comment == _AMBIGUOUS:
                num_candidates = num_lines = MIN_CODE_LINES
                break
            if not comment:
                shown = min(stop, start + num_left)
                is_cut = shown < stop
                has_ink, candidates = _look_at_line(codepoints, start, shown)
                num_lines += has_ink
                num_candidates += 2 if is_cut else candidates
                num_left -= stop - start
            num_left -= 1
            start = stop + 1
        may_be[text] = num_lines >= MIN_CODE_LINES and num_candidates >= MIN_CODE_LINE_SHARE * num_lines


@kernel
def _is_comment(codepoints: np.ndarray, start: int, stop: int, end: int) -> int:
    """Whether `_COMMENT` matches the line; _AMBIGUOUS where a directive's word runs on outside ASCII."""
    while start < stop and codepoints[start] in (_BLANK, _TAB):
        start += 1
    first = codepoints[start] if start < stop else np.uint32(0)
    second = codepoints[start + 1] if start + 1 < stop else np.uint32(0)
    if first != ord("#"):
        is_slashed = first == ord("/") and second in (ord("/"), ord("*"))
        return int(is_slashed or first in (ord("*"), ord(";")) or (first == ord("-") and second == ord("-")))
    start += 1
    while start < end and _is_space(codepoints[start]):  # the pattern's white space reaches over line ends
        start += 1
    code, after = _word_at(codepoints, start, end)
    if code in _DIRECTIVES and after < end and codepoints[after] >= _NOT_ASCII:
        return _AMBIGUOUS
    return int(code not in _DIRECTIVES or (after < end and _is_ascii_word(codepoints[after])))


@kernel
def _look_at_line(codepoints: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """Whether there is anything but white space, and how many matches can begin here, or end here that began before."""
    while start < stop and codepoints[start] in (_BLANK, _TAB):
        start += 1
    is_inked, is_statement, is_open = 0, False, False
    last = np.uint32(0)
    has_equals = False
    for i in range(start, stop):
        char = codepoints[i]
        if _is_space(char):
            continue
        is_inked = 1
        is_statement |= is_open and char == ord("/") and i + 1 < stop and codepoints[i + 1] == ord("/")
        is_open = char in (ord(";"), ord("{"), ord("}"))
        has_equals |= char == ord("=")
        last = char
    if not is_inked:
        return 0, 0
    first = codepoints[start]
    second = codepoints[start + 1] if start + 1 < stop else np.uint32(0)
    goes_on = first == ord("=") or (first in (ord("-"), ord("+"), ord("*"), ord("/")) and second == ord("="))
    begins = (
        is_statement
        or is_open
        or has_equals
        or first in (ord("("), ord(")"), ord("["), ord("]"), ord("{"), ord("}"), ord(";"), ord("#"), ord("@"))
        or _begins_with_word(codepoints, start, stop, last)
        or _is_call(codepoints, start, stop)
    )
    return 1, int(goes_on) + int(begins)


@kernel
def _begins_with_word(codepoints: np.ndarray, start: int, stop: int, last: int) -> bool:
    code, after = _word_at(codepoints, start, stop)
    if after < stop and _is_ascii_word(codepoints[after]):
        return False
    return code in _LINE_WORDS or (last == ord(":") and code in _BLOCK_WORDS)


@kernel
def _is_call(codepoints: np.ndarray, start: int, stop: int) -> bool:
    at = start
    while at < stop and (codepoints[at] >= _NOT_ASCII or codepoints[at] == ord(".") or _is_ascii_word(codepoints[at])):
        at += 1
    return at > start and at < stop and codepoints[at] == ord("(")


@kernel
def _word_at(codepoints: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """The lower-case ASCII word at `start` as `_word_codes` has it (-1 for a long one), and where it ends."""
    code = np.int64(0)
    at = start
    while at < stop and ord("a") <= codepoints[at] <= ord("z"):
        code = code * 32 + np.int64(codepoints[at]) - 96 if at - start < _MAX_WORD_CHARS else np.int64(-1)
        at += 1
    return int(code if at - start <= _MAX_WORD_CHARS else -1), at


@kernel
def _is_ascii_word(char: int) -> bool:
    return (
        ord("a") <= char <= ord("z") or ord("A") <= char <= ord("Z") or ord("0") <= char <= ord("9") or char == ord("_")
    )


@kernel
def _is_space(char: int) -> bool:
    """As regular expressions and `str.isspace` have it."""
    if _BLANK < char < _NOT_ASCII:
        return False
    if char <= _BLANK:
        return char == _BLANK or _TAB <= char <= 0x0D or 0x1C <= char <= 0x1F
    if char < 0x1680:
        return char in (0x85, 0xA0)
    return char in (0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000) or 0x2000 <= char <= 0x200A
