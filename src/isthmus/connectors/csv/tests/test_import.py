"""Files are taken whole or refused whole, with every faulty line named."""

import asyncio
from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.kernel.errors import NeedsOperator, Rejected, Retryable

INSTALLED = registry.at(Path(__file__).parents[1])
SOURCE = INSTALLED.connector.source
TOKEN = {"token": {"secret": "env:T"}}


def context(**config):
    return INSTALLED.context("sheet", {**TOKEN, **config}, secrets={"token": "t"})


def parse(text, **config):
    return SOURCE.parse(text.encode() if isinstance(text, str) else text, {}, context(**config))


def refused(text, **config):
    with pytest.raises(Rejected) as caught:
        parse(text, **config)
    return caught.value


def test_all_faulty_lines_are_named_at_once_and_nothing_is_imported():
    found = refused("name,ci_class,users\na,server,x\nb,server,2\n,server,3\nd,server,y\n")
    assert [each.path for each in found.problems] == ["line:2:users", "line:4:name", "line:5:users"]
    assert "2 more problems" in str(found)
    assert "Nothing was imported" in str(found)


def test_line_numbers_hold_across_quoted_line_breaks_and_blank_lines():
    found = refused('name,ci_class,users\n"a\nb\nc",server,1\n\nd,server,x\n')
    assert found.problems[0].path == "line:6:users"


def test_only_the_first_fifty_problems_are_told():
    rows = "".join(f"n{n},server,x\n" for n in range(200))
    assert len(refused("name,ci_class,users\n" + rows).problems) == 50


def test_an_unknown_column_is_kept_or_refused_as_configured():
    text = "name,ci_class,rak\na,server,B4\n"
    assert parse(text)[0].values["attributes"] == {"rak": "B4"}
    found = refused("name,ci_class,ownr\na,server,x\n", keep_other_columns=False)
    assert "'owner'" in found.remedy


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("latin-1", "name;ci_class\nKüche;Gerät\n".encode("latin-1")),
        ("utf-16", "name;ci_class\nKüche;Gerät\n".encode("utf-16")),
        ("utf-8", "\ufeffname\tci_class\nKüche\tGerät\n".encode()),
    ],
)
def test_encodings_and_delimiters_of_spreadsheets(encoding, raw):
    assert parse(raw, encoding=encoding)[0].values == {"name": "Küche", "ci_class": "Gerät"}


def test_a_hundred_thousand_lines_are_the_limit():
    text = "name,ci_class\n" + "".join(f"h{n},server\n" for n in range(100_000))
    assert "limit of 100000 lines" in str(refused(text))


def poll(kind, watermark="", **config):
    async def run():
        client = INSTALLED.connector.open(context(**config))
        try:
            return [page async for page in client.changed_since(kind, watermark)]
        finally:
            await client.close()

    return asyncio.run(run())


def test_a_dropped_file_is_read_once_until_it_changes(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("name,ci_class\na,server\n")
    first = poll("ci", items_path=str(path))
    assert [each.values["name"] for page in first for each in page.observations] == ["a"]
    assert poll("ci", first[-1].watermark, items_path=str(path)) == []
    path.write_text("name,ci_class\na,server\nb,server\n")
    assert poll("ci", first[-1].watermark, items_path=str(path))


def test_a_file_that_is_missing_is_awaited_and_an_unreadable_one_needs_a_person(tmp_path):
    with pytest.raises(Retryable):
        poll("ci", items_path=str(tmp_path / "absent.csv"))
    with pytest.raises(NeedsOperator):
        poll("ci", items_path=str(tmp_path))


def test_exchanged_addresses_are_noticed(tmp_path):
    path = tmp_path / "relations.csv"
    path.write_text("source_ci,type,target_ci\na,runs_on,b\n")
    with pytest.raises(Rejected, match="Exchange"):
        poll("ci", items_path=str(path))


def test_long_files_come_in_pages_and_the_mark_moves_with_the_last(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("name,ci_class\n" + "".join(f"h{n},server\n" for n in range(2_500)))
    pages = poll("ci", items_path=str(path))
    assert [len(page.observations) for page in pages] == [1000, 1000, 500]
    assert [bool(page.watermark) for page in pages] == [False, False, True]
