"""Keys and tokens are found by form; placeholders, hashes and versions are not; the prefilter loses none."""

import base64
import random
import string

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import text_buffers
from ctllm.pipelines.secret_patterns import ASSIGNMENT, TOKENS, find_secrets, may_hold_secrets


def drawn(alphabet: str, length: int, *, seed: int = 7) -> str:
    """A random string, never the same as anybody's key."""
    return "".join(random.Random(seed).choices(alphabet, k=length))


ALNUM = string.ascii_letters + string.digits
BODY = "\n".join(drawn(ALNUM + "+/", 64, seed=i) for i in range(4))
JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"1234567890","name":"A"}', bytes(range(100, 132)))
)
SECRETS = {
    "aws_key": "AKIA" + drawn(string.ascii_uppercase + "234567", 16),
    "github_token": "ghp_" + drawn(ALNUM, 36),
    "gitlab_token": "glpat-" + drawn(ALNUM, 20),
    "slack_token": "xoxb-" + drawn(string.digits, 12) + "-" + drawn(ALNUM, 24),
    "google_key": "AIza" + drawn(ALNUM + "_-", 34) + "a",
    "stripe_key": "sk_live_" + drawn(ALNUM, 24),
    "model_api_key": "sk-proj-" + drawn(ALNUM, 40),
    "jwt": JWT,
    "private_key": f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END",
}
ASSIGNED = [
    'api_key = "{}"', "API_KEY: '{}'", '"accessKey" : "{}"', "const secretToken = `{}`",
    'config["client_secret"] = "{}"',
    'password="{}"', "AppKey := \"{}\"", "'auth_token' => '{}'",
]  # fmt: skip


def found(text: str) -> list[tuple[str, str]]:
    """Kind and value of what is found, by way of the prefilter as `measure` does it."""
    data, offsets = text_buffers(pa.array([text], pa.large_string()))
    flagged = bool(may_hold_secrets(data, offsets)[0])
    secrets = [(each.kind, text[each.start : each.end]) for each in find_secrets(text)]
    assert flagged or not secrets, "the prefilter lost a secret"
    return secrets if flagged else []


@pytest.mark.parametrize(("kind", "secret"), SECRETS.items(), ids=SECRETS)
@pytest.mark.parametrize("frame", ["令牌是{}。", "x = {}\n", 'curl -H "Authorization: {}"'])
def test_tokens_are_found_whole_among_han_and_in_code(kind: str, secret: str, frame: str) -> None:
    """A token is found by its form, with nothing more and nothing less of its text."""
    assert found(frame.format(secret)) == [(kind, secret)]


@pytest.mark.parametrize("frame", ASSIGNED)
def test_a_random_value_given_to_a_secret_name_is_found(frame: str) -> None:
    """The name says that it is secret, the value looks random: whatever the language of the code."""
    value = drawn("0123456789abcdef", 32)
    assert found(frame.format(value)) == [("assigned_secret", value)]


def test_a_token_in_an_assignment_counts_once() -> None:
    """A value with a form of its own is reported as that form only."""
    token = SECRETS["github_token"]
    assert found(f'token = "{token}"') == [("github_token", token)]


@pytest.mark.parametrize(
    "text",
    [
        'api_key = "YOUR_API_KEY_HERE_0123"',
        'api_key = "xxxxxxxxxxxxxxxxxxxxxxxx"',
        'api_key = "123abc_my_api_key_goes_here"',
        'password = "correct horse battery staple"',
        'token = "${GITHUB_TOKEN_FROM_ENV_1}"',
        'secret_name = "kubernetes/dashboard-tls-cert"',
        'commit = "' + drawn("0123456789abcdef", 40) + '"',
        "主键 primary_key='id' 与 sha256:" + drawn("0123456789abcdef", 64),
        "Slovakia, ghp_short, AKIA1, eyJhbGciOi only, sk-project",
        "-----BEGIN PUBLIC KEY-----\n" + BODY + "\n-----END PUBLIC KEY-----",
        "",
    ],
)
def test_placeholders_hashes_and_names_are_no_secrets(text: str) -> None:
    """What documentation and lock files are full of is left alone."""
    assert found(text) == []


@given(
    st.text(st.sampled_from("abK_key=:'\" \n汉-1"), max_size=30),
    st.sampled_from([*SECRETS.values(), *(frame.format(drawn("0123456789abcdef", 20)) for frame in ASSIGNED)]),
    st.text(st.sampled_from("abK_key=:'\" \n汉-1"), max_size=30),
)
def test_the_prefilter_loses_nothing(before: str, secret: str, after: str) -> None:
    """Whatever stands around it, a text with a secret is looked at."""
    text = before + secret + after
    assert found(text) == [(each.kind, text[each.start : each.end]) for each in find_secrets(text)]


@pytest.mark.parametrize("before", ["", "İİİ ", "汉字" * 500, "token token: api_key "])
def test_places_do_not_depend_on_what_stands_before(before: str) -> None:
    """An assigned value is found at its characters, also behind İ, which lower case makes two characters of."""
    text = before + 'API_KEY = "q8Zt5Kw2Lr9Xv4Bn7Md1"'
    assert [text[each.start : each.end] for each in find_secrets(text)] == ["q8Zt5Kw2Lr9Xv4Bn7Md1"]


@pytest.mark.parametrize("anchor", [anchor for form in (*TOKENS, ASSIGNMENT) for anchor in form.anchors])
def test_anchors_are_seen_anywhere_in_long_texts(anchor: str) -> None:
    """Wherever an anchor stands in a text of several blocks, at their borders too, the text is looked at."""
    value = drawn("0123456789abcdef", 32)
    texts = ["汉" * 100 + "." * before + f"{anchor} = '{value}'" + "." * 600 for before in range(300)]
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    assert may_hold_secrets(data, offsets).all()
    assert not may_hold_secrets(*text_buffers(pa.array(["汉." * 600], pa.large_string()))).any()
