"""How far a mailbox was read, whatever lies in it."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.mail import mailbox
from isthmus.connectors.mail.mailbox import Envelope

TODAY = dt.date(2026, 11, 28)
DATES = st.dates(min_value=dt.date(2020, 1, 1), max_value=dt.date(2030, 1, 1))


@given(
    st.lists(
        st.tuples(st.integers(1, 9_999), DATES), min_size=1, max_size=20, unique_by=lambda each: each[0]
    ),
    st.integers(1, 7),
)
def test_a_mark_only_moves_forward_and_never_past_a_mail_that_was_not_told(mails, size):
    found = [
        Envelope(uid=uid, size=10, arrived=dt.datetime.combine(day, dt.time(), dt.UTC))
        for uid, day in sorted(mails)
    ]
    mark = mailbox.begin("", validity=1, today=TODAY, history_days=0)
    told = []
    for page in mailbox.pages(found, count_max=size, bytes_max=35, mail_bytes_max=100):
        assert len(page) <= size
        before, mark = mark, mailbox.advanced(mark, page, [], TODAY)
        told += [each.uid for each in page]
        assert mark.read == told[-1] > before.read
        assert mark.since >= before.since
        assert mark.since <= TODAY
        assert mailbox.begin(mark.text(), validity=1, today=TODAY, history_days=0) == mark
    assert told == [each.uid for each in found]
    anew = mailbox.begin(mark.text(), validity=2, today=TODAY, history_days=0)
    assert (anew.read, anew.owed, anew.since) == (0, (), mark.since)
