"""URL lists: categories are chosen by name, and what is no list stops the run before it starts."""

import gzip
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest

from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.url_lists import UrlLists, category_of, shared_url_lists
from ctllm.pipelines.why import explain
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.url_lists_config import UrlListsConfig
from tests.pipelines.conftest import prose, write_records

URLS = pa.array(
    ["http://bet.example/x", "http://a.both.example", "http://news.example", None, "http://x.example/pay/1"]
)


@pytest.fixture
def ut1(tmp_path: Path) -> Path:
    """A directory in the form of UT1, with a white list and other files that are no lists of addresses."""
    root = tmp_path / "ut1"
    files = {
        "gambling/domains": "bet.example\nboth.example\n",
        "phishing/domains": "both.example\n",
        "phishing/urls": "# seen in June\nx.example/pay/\n",
        "phishing/usage": "black\n",
        "liste_blanche/domains": "news.example\n",
        "README": "These files are contributions.\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def codes(paths: list[Path], *categories: str) -> list[int]:
    """What the chosen categories say of `URLS`."""
    config = UrlListsConfig(paths=tuple(map(str, paths)), categories=categories)
    return UrlLists.read(config).find(URLS).tolist()


def test_only_the_chosen_categories_count_and_the_first_of_several_names_the_url(ut1: Path) -> None:
    """White lists beside black ones are not read unless they are named."""
    assert codes([ut1], "gambling") == [1, 1, 0, 0, 0]
    assert codes([ut1], "gambling", "phishing") == [1, 1, 0, 0, 2]
    assert codes([ut1], "phishing", "gambling") == [2, 1, 0, 0, 1]
    assert codes([ut1 / "phishing"], "phishing") == [0, 1, 0, 0, 1]


def test_archives_and_plain_files_are_lists_too(ut1: Path, tmp_path: Path) -> None:
    """A tar archive is read as the directory it holds; a plain file's name is its category, compressed or not."""
    with tarfile.open(tmp_path / "ut1.tar.gz", "w:gz") as archive:
        archive.add(ut1, arcname="ut1")
    assert codes([tmp_path / "ut1.tar.gz"], "gambling", "phishing") == codes([ut1], "gambling", "phishing")
    (tmp_path / "mine.txt").write_text("news.example\n")
    (tmp_path / "more.txt.gz").write_bytes(gzip.compress(b"https://news.example/\r\n\r\nx.example"))
    assert codes([tmp_path / "mine.txt", ut1], "gambling", "mine") == [1, 1, 2, 0, 0]
    assert codes([tmp_path / "more.txt.gz"], "more") == [0, 0, 1, 0, 1]


def test_without_lists_nothing_is_listed() -> None:
    """The default has no lists."""
    assert UrlLists.read(UrlListsConfig()).find(URLS).tolist() == [0, 0, 0, 0, 0]


def test_unknown_and_missing_categories_are_refused_with_those_there_are(ut1: Path, tmp_path: Path) -> None:
    """A misspelt category names its neighbour; a path that no category uses is never dropped silently."""
    with pytest.raises(ConfigError, match=r"gamblin is not in.*did you mean gambling\?.*liste_blanche, phishing"):
        codes([ut1], "phishing", "gamblin")
    with pytest.raises(ConfigError, match=r"none is chosen of those in .*ut1 \(gambling, liste_blanche, phishing\)"):
        codes([ut1])
    (tmp_path / "mine.txt").write_text("news.example\n")
    with pytest.raises(ConfigError, match=r"none is chosen of those in .*mine\.txt \(mine\)"):
        codes([ut1, tmp_path / "mine.txt"], "gambling")


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    """A missing file, a directory without lists, a broken archive and prose are each named."""
    (tmp_path / "text.txt").write_text("a.example\nOnce upon a time there was a list.\n")
    (tmp_path / "broken.tar.gz").write_bytes(b"no archive")
    (tmp_path / "broken.txt.gz").write_bytes(gzip.compress(b"a.example\n" * 99)[:-9])
    for name, category, message in [
        ("nothing", "a", "nothing is not there"),
        ("text.txt", "text", r"text\.txt, line 2: 'Once upon.*neither a domain nor a URL"),
        ("broken.tar.gz", "a", "not a whole tar archive"),
        ("broken.txt.gz", "broken", "cannot read"),
    ]:
        with pytest.raises(InputError, match=message):
            codes([tmp_path / name], category)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no CATEGORY/domains"):
        codes([tmp_path / "empty"], "a")


def test_one_odd_line_in_a_hundred_is_passed_over(tmp_path: Path) -> None:
    """Public lists have some broken lines: 1 % of them is accepted, more is another kind of file."""
    lines = [f"a{number}.example" for number in range(99)]
    (tmp_path / "list.txt").write_text("\n".join([*lines, "odd line here"]))
    assert UrlLists.read(UrlListsConfig(paths=(str(tmp_path / "list.txt"),), categories=("list",))).num_entries == 99
    (tmp_path / "list.txt").write_text("\n".join([*lines[:98], "odd line here"]))
    with pytest.raises(InputError, match="line 99"):
        codes([tmp_path / "list.txt"], "list")


def test_digest_follows_entries_and_categories(ut1: Path) -> None:
    """Another entry, or the same in another category, is another list; order and spelling of lines are not."""

    def digest(*categories: str) -> str:
        return UrlLists.read(UrlListsConfig(paths=(str(ut1),), categories=categories)).digest()

    before = digest("gambling", "phishing")
    assert digest("phishing", "gambling") != before
    (ut1 / "gambling" / "domains").write_text("# sorted\nhttp://BOTH.example\nwww.bet.example\n")
    assert digest("gambling", "phishing") == before
    (ut1 / "gambling" / "domains").write_text("both.example\n")
    assert digest("gambling", "phishing") != before


def test_a_listed_page_is_removed_and_why_names_the_category(ut1: Path, tmp_path: Path) -> None:
    """The whole way: the rule removes it, the category is shown, and a changed list measures anew."""
    records = [{"id": f"d{index}", "url": url, "text": prose(index)} for index, url in enumerate(URLS.to_pylist())]
    inputs = [str(write_records(tmp_path / "in.jsonl", records))]
    config = CurationConfig(url_lists=UrlListsConfig(paths=(str(ut1),), categories=("gambling", "phishing")))

    def kept() -> int:
        return curate(config, inputs=inputs, out=str(tmp_path / "run"), options=RunnerOptions(workers=1)).accounts[
            "kept"
        ]

    assert kept() == 2
    found = explain(str(tmp_path / "run"), "d4")
    assert (found.kept, [each["reason"] for each in found.reasons]) == (False, ["max_url_list"])
    assert found.url_category == "phishing"
    assert explain(str(tmp_path / "run"), "d2").url_category is None
    (ut1 / "phishing" / "urls").write_text("y.example/pay/\n")
    assert kept() == 3


def test_threads_share_one_copy(ut1: Path) -> None:
    """Workers of one process do not hold the millions of entries each."""
    config = UrlListsConfig(paths=(str(ut1),), categories=("gambling",))
    assert shared_url_lists(config) is shared_url_lists(UrlListsConfig(paths=(str(ut1),), categories=("gambling",)))
    assert category_of(1, config=config) == "gambling"
    assert category_of(0, config=config) is None


@pytest.mark.private_data
def test_real_lists_load(private_data: Path) -> None:
    """The subset of UT1 as its university publishes it: all entries but a handful of odd lines."""
    path = private_data / "open" / "lists" / "ut1_url_blacklist_subset.tar.gz"
    lists = UrlLists.read(UrlListsConfig(paths=(str(path),), categories=("gambling", "malware")))
    assert lists.num_entries > 2400
    urls = ["http://m.00casino.com/", "http://1.64.232.214/.i", "http://clubic.com/comparatif/"]
    assert lists.find(pa.array(urls)).tolist() == [1, 2, 0]
