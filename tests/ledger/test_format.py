"""The published format is enough: a second verifier of thirty lines, written from docs/reference/book-format.md."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile

import pytest

from isthmus.ledger import export
from isthmus.ledger.models import Entry


def rows(archive, table):
    with archive.open(f"tables/{table}.jsonl") as lines:
        header = json.loads(next(iter(lines)))
        for line in lines:
            values = (
                base64.b64decode(each["b64"]) if isinstance(each, dict) else each for each in json.loads(line)
            )
            yield dict(zip(header, values, strict=True))


def first_bad_entry(path):
    """Return the name of the first entry off its chain, or None."""
    with zipfile.ZipFile(path) as archive:
        entries = {each["seq"]: each for each in rows(archive, "ledger_entry")}
        links = {}
        for seal in sorted(
            rows(archive, "ledger_seal"), key=lambda each: (each["organisation"], each["first"])
        ):
            link = links.get(seal["organisation"], bytes(32))
            for i in range(seal["count"]):
                entry = entries.get(int.from_bytes(seal["seqs"][8 * i : 8 * i + 8], "big"))
                if entry is None:
                    return "missing"
                link = hashlib.sha256(link + entry["body"]).digest()
                if link != seal["links"][32 * i : 32 * i + 32]:
                    return f"{entry['record']}.{entry['version']}"
            links[seal["organisation"]] = link
        ends = {each["organisation"]: each["link"] for each in rows(archive, "ledger_head")}
        return None if ends == links else "head"


def test_a_verifier_written_from_the_documentation_agrees(told, tmp_path):
    assert first_bad_entry(export.write(tmp_path / "whole.zip")) is None
    entry = Entry.objects.get(record=told.first.id, version=1)
    Entry.objects.filter(seq=entry.seq).update(body=bytes(entry.body).replace(b'"impact"', b'"Impact"'))
    assert first_bad_entry(export.write(tmp_path / "edited.zip")) == f"{told.first.id}.1"


@pytest.mark.parametrize("member", Entry._meta.get_fields())
def test_every_column_of_an_entry_is_documented(member):
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs/reference/book-format.md").read_text()
    assert f"`{member.name}`" in text or f"ledger_entry.{member.name}" in text


def test_every_member_of_a_body_is_documented(told):
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs/reference/book-format.md").read_text()
    for member in json.loads(bytes(Entry.objects.first().body)):
        assert f"`{member}`" in text, member
