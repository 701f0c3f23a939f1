from __future__ import annotations

import re

from isthmus.practices.incident import service as incidents


def test_a_comment_written_on_the_page_is_in_the_story(desk):
    client = desk.client("agent")
    answer = client.post(
        f"/incidents/{desk.incident.id}/comment", {"body": "Looking at <b>db1</b>"}, follow=True
    )
    text = answer.content.decode()
    assert "Looking at &lt;b&gt;db1&lt;/b&gt;" in text
    assert "<b>db1</b>" not in text


def test_resolving_without_saying_how_is_refused_and_changes_nothing(desk):
    client = desk.client("agent")
    answer = client.post(f"/incidents/{desk.incident.id}/resolve", {"code": "", "notes": ""}, follow=True)
    assert "flash-error" in answer.content.decode()
    assert type(desk.incident).objects.get(id=desk.incident.id).state != "resolved"


def test_resolving_says_so_in_the_record_and_on_the_page(desk):
    client = desk.client("agent")
    client.post(f"/incidents/{desk.incident.id}/change", {"state": "in_progress"})
    answer = client.post(
        f"/incidents/{desk.incident.id}/resolve", {"code": "solved", "notes": "Added an index"}, follow=True
    )
    found = type(desk.incident).objects.get(id=desk.incident.id)
    assert found.state == "resolved", answer.content.decode()[-3000:]
    assert "Added an index" in answer.content.decode()


def test_many_are_assigned_only_after_the_preview_was_confirmed(desk):
    client = desk.client("agent")
    given = {"id": [desk.incident.id], "assignment_group": "dba"}
    preview = client.post("/incidents/many", given)
    assert b"What will change" in preview.content
    assert type(desk.incident).objects.get(id=desk.incident.id).assignment_group != "dba"
    client.post("/incidents/many", {**given, "confirmed": "yes"})
    assert type(desk.incident).objects.get(id=desk.incident.id).assignment_group == "dba"


def test_the_list_costs_the_same_for_one_and_for_many(desk, queries):
    client = desk.client("agent")

    def cost() -> int:
        """What the page asks the store when what it remembers for a second is fresh: the least of a few visits."""
        counted = []
        for _ in range(4):
            with queries() as asked:
                text.append(client.get("/incidents").content.decode())
            # Names of people are read in a wider scope, which PostgreSQL is told before and after.
            counted.append(sum("set_config" not in each["sql"] for each in asked))
        return min(counted)

    text: list[str] = []
    few = cost()
    for number in range(12):
        values = {"title": f"Slow {number}", "impact": "3", "urgency": "3", "assignee": desk.people["agent"]}
        desk.book.perform(lambda work, values=values: incidents.create(work, desk.book.organisation, values))
    many = cost()
    assert "Slow 11" in text[-1]
    assert many <= few + 1


def test_the_filters_stand_in_the_url(desk):
    client = desk.client("viewer")
    assert b"Checkout is slow" in client.get("/incidents?priority=2").content
    assert b"Checkout is slow" not in client.get("/incidents?priority=1").content
    assert b"Checkout is slow" not in client.get("/incidents?state=closed").content


def test_paging_shows_each_once(desk):
    for number in range(5):
        values = {"title": f"Slow {number}", "impact": "3", "urgency": "3"}
        desk.book.perform(lambda work, values=values: incidents.create(work, desk.book.organisation, values))
    client = desk.client("viewer")
    seen, path = [], "/incidents?limit=2"
    for _ in range(10):
        answer = client.get(path)
        text = answer.content.decode()
        seen += re.findall(r'href="/incidents/(\w{26})"', text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        if following is None:
            break
        path = "/incidents" + following.group(1).replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 6
