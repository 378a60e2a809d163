"""Is it source code, and in which language: by the path's extension, by a language name, or by how its lines look."""

import re

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
