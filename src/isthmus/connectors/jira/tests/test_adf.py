import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.jira.adf import from_adf, to_adf
from isthmus.connectors.jira.simulated.project import is_document

LINES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.just("\n"), max_size=80)


@given(LINES)
def test_our_text_comes_back_exactly_and_is_a_valid_document(text):
    document = to_adf(text)
    assert is_document(document)
    assert from_adf(document) == text.strip()


def paragraph(*content):
    return {"type": "paragraph", "content": list(content)}


def text(value, **more):
    return {"type": "text", "text": value, **more}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"type": "heading", "attrs": {"level": 2}, "content": [text("Cause")]}, paragraph(text("Disk"))],
         "## Cause\n\nDisk"),
        ([{"type": "bulletList", "content": [{"type": "listItem", "content": [paragraph(text("a"))]},
                                             {"type": "listItem", "content": [paragraph(text("b"))]}]}],
         "- a\n- b"),
        ([{"type": "orderedList", "content": [{"type": "listItem", "content": [paragraph(text("a"))]},
                                              {"type": "listItem", "content": [paragraph(text("b"))]}]}],
         "1. a\n2. b"),
        ([paragraph({"type": "mention", "attrs": {"id": "1", "text": "@Grace"}}, text(" look"))], "@Grace look"),
        ([paragraph(text("runbook", marks=[{"type": "link", "attrs": {"href": "https://x.test/r"}}]))],
         "runbook (https://x.test/r)"),
        ([{"type": "codeBlock", "content": [text("df -h\nfree")]}], "df -h\nfree"),
        ([{"type": "somethingNew", "content": [text("kept")]}], "kept"),
        ([], ""),
    ],
)  # fmt: skip
def test_formatted_text_comes_in_as_plain_text(content, expected):
    assert from_adf({"type": "doc", "version": 1, "content": content}) == expected


@pytest.mark.parametrize(
    "wild", [None, "text", 3, [], {}, {"type": "paragraph"}, {"type": "doc", "content": 3}]
)
def test_what_is_no_document_is_empty_text(wild):
    assert from_adf(wild) == ""


def test_a_document_without_bottom_does_not_overflow():
    node = text("deep")
    for _ in range(500):
        node = {"type": "blockquote", "content": [node]}
    assert from_adf({"type": "doc", "version": 1, "content": [node]}) == ""
