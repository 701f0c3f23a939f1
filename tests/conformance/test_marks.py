"""Marks: found where they were left, whatever the text, and never shown to people."""

from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.kit import marks


@given(text=st.text(max_size=50), key=st.text(max_size=50))
def test_a_marked_text_holds_the_mark_of_its_key_and_is_what_it_was_without(text, key):
    made = marks.marked(text, key)
    assert marks.found(made) == marks.mark_of(key)
    assert marks.without(made) == text


def test_the_mark_of_a_key_never_changes():
    """What was left at partners by an earlier version must be found by a later one."""
    assert marks.marked("CHG-1", "silence:1:2") == "CHG-1 [isthmus:87dc71a75a384bda]"


def test_a_mark_stands_at_the_end_and_nowhere_else():
    assert marks.found("x") == marks.found(f"{marks.tag('k')} said Ada") == ""
