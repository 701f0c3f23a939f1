"""Files added by the form of the incident page: what is taken, what is refused, and how they are handed out."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from isthmus.hub.sync import blobs
from isthmus.hub.sync.models import BlobPart
from isthmus.practices.incident import attachments
from isthmus.practices.incident.models import Attachment
from isthmus.web import uploads

SCRIPT = b"<html><script>alert(1)</script></html>"


def add(client: Any, desk: Any, *files: SimpleUploadedFile, **more: Any) -> str:
    answer = client.post(f"/incidents/{desk.incident.id}/attach", {"file": list(files)}, follow=True, **more)
    return answer.content.decode()


def file(name: str = "core.log", content: bytes = b"a line", kind: str = "text/plain") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type=kind)


def test_files_are_added_with_one_form_and_listed_with_their_hash(desk: Any) -> None:
    agent, big = desk.client("agent"), bytes(range(256)) * 5_000
    text = add(agent, desk, file("Größe.bin", big, "application/zip"), file())
    assert "flash-error" not in text
    held = {each.filename: each for each in Attachment.objects.all()}
    assert set(held) == {"Größe.bin", "core.log"}
    assert held["Größe.bin"].sha256 == hashlib.sha256(big).hexdigest()
    assert b"".join(attachments.content(held["Größe.bin"])) == big
    assert held["core.log"].author == desk.people["agent"]
    assert hashlib.sha256(big).hexdigest() in text
    assert "At most 9.5" in text, "the bound stands at the form"


def test_what_was_sent_as_a_page_is_never_shown_as_one(desk: Any) -> None:
    agent = desk.client("agent")
    text = add(agent, desk, file("page.html", SCRIPT, "text/html"))
    (where,) = re.findall(r'href="(/api/v1/incidents/[^"]+/content)"', text)
    answer = agent.get(where)
    assert b"".join(answer.streaming_content) == SCRIPT
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment;")
    assert (answer["X-Content-Type-Options"], answer["Content-Security-Policy"]) == ("nosniff", "sandbox")
    assert "<script>alert" not in text


@pytest.mark.parametrize("kind", ["text/html; charset=x", "<b>", "no type at all", "x/" + "y" * 200])
def test_a_type_that_is_none_is_kept_as_bytes(desk: Any, kind: str) -> None:
    add(desk.client("agent"), desk, file(kind=kind))
    assert Attachment.objects.get().content_type in {"text/html", "application/octet-stream"}


def test_a_file_beyond_the_limit_is_refused_with_the_bound_and_the_others_are_added(
    desk: Any, monkeypatch: Any
) -> None:
    flow = attachments.loading.flow_of("incident")
    monkeypatch.setattr(
        attachments.loading, "flow_of", lambda _: type(flow)(**{**_fields(flow), "attachment_bytes_max": 100})
    )
    text = add(desk.client("agent"), desk, file("big.log", b"x" * 101), file("small.log", b"x" * 100))
    assert "big.log: The file cannot be added. more than 100 bytes" in text
    assert [each.filename for each in Attachment.objects.all()] == ["small.log"]


def _fields(flow: Any) -> dict[str, Any]:
    return {name: getattr(flow, name) for name in flow.__struct_fields__}


@pytest.mark.parametrize(
    ("given", "says"),
    [((), "No file came"), ((file("empty.log", b""),), "empty"), ((file('a"b.log'),), "character")],
)
def test_what_is_no_file_is_refused_in_words(desk: Any, given: tuple[Any, ...], says: str) -> None:
    text = add(desk.client("agent"), desk, *given)
    assert "flash-error" in text
    assert says in text
    assert not Attachment.objects.exists()


def test_the_same_file_twice_is_one_file(desk: Any) -> None:
    for _ in range(2):
        add(desk.client("agent"), desk, file())
    assert Attachment.objects.count() == 1


def test_more_files_than_a_form_may_carry_are_not_kept(desk: Any) -> None:
    add(desk.client("agent"), desk, *(file(f"{at}.log") for at in range(uploads.FILES_MAX + 2)))
    assert Attachment.objects.count() == uploads.FILES_MAX


def test_whoever_may_not_write_adds_nothing_and_leaves_nothing(desk: Any) -> None:
    viewer = desk.client("viewer")
    assert viewer.post(f"/incidents/{desk.incident.id}/attach", {"file": file()}).status_code == 403
    assert desk.client().post(f"/incidents/{desk.incident.id}/attach", {"file": file()}).status_code == 302
    text = viewer.get(f"/incidents/{desk.incident.id}").content.decode()
    assert 'type="file"' not in text
    assert not BlobPart.objects.exists()
    checked = desk.client("agent", enforce_csrf_checks=True)
    assert checked.post(f"/incidents/{desk.incident.id}/attach", {"file": file()}).status_code == 403
    assert not BlobPart.objects.exists()


def test_a_file_waits_without_a_name_and_only_where_a_form_takes_files(desk: Any, monkeypatch: Any) -> None:
    opened: list[str] = []
    real = uploads.tempfile.TemporaryFile

    def watched(**where: Any) -> Any:
        found = real(**where)
        assert str(where["dir"]) == str(settings.ISTHMUS.data_dir)
        opened.append(str(where["dir"]))
        return found

    monkeypatch.setattr(uploads.tempfile, "TemporaryFile", watched)
    agent, before = desk.client("agent"), {each.name for each in settings.ISTHMUS.data_dir.iterdir()}
    agent.post(f"/incidents/{desk.incident.id}/comment", {"body": "x", "file": file()})
    desk.client().post("/accounts/login/", {"login": "x", "password": "y", "file": file()})
    assert opened == []
    agent.post(f"/incidents/{desk.incident.id}/attach", {"file": file("a", b"x" * blobs.PART_BYTES)})
    assert len(opened) == 1
    assert {each.name for each in settings.ISTHMUS.data_dir.iterdir()} - before == set()
