"""Comments: mapped one to one, merged like fields. Our own come back under a known key or marker and are
mapped, never imported. Deletion wins over an edit; of two edits ours stays."""

from __future__ import annotations

from msgspec import UNSET, structs

from isthmus.hub.sync.algorithm.outcome import CommentChange, Context, Draft, Sighting
from isthmus.hub.sync.algorithm.state import HubComment, LinkComment, Operation
from isthmus.kernel.observation import ObservedComment

FIELD = "comment"
"""The name under which a mapping spells comment bodies."""


def merge_comments(draft: Draft, seen: Sighting, context: Context) -> None:
    """Merge the comments that the observation shows; one that it does not show is not taken as deleted,
    since lists may be paged."""
    by_key = {held.key: name for name, held in draft.link.comments.items() if held.key}
    for comment in seen.observation.comments or ():
        name = by_key.get(comment.key) or _own(draft, comment, context)
        if name:
            _merge_known(draft, name, comment, context)
        elif not comment.deleted:
            _add(draft, comment, context)


def _own(draft: Draft, comment: ObservedComment, context: Context) -> str:
    """Return our comment's id if the marker says that it is ours; map it to the partner's key."""
    if not context.rules.own_comments or comment.correlation not in draft.record.comments:
        return ""
    held = draft.link.comments.get(comment.correlation)
    if held is not None and held.key and held.key != comment.key:
        # A second copy of one comment of ours: a twin of a retried write. Known, hence never imported.
        return ""
    body = draft.record.comments[comment.correlation].body
    sent = context.spelling.normal(FIELD, body)
    draft.set_comment(comment.correlation, LinkComment(key=comment.key, agreed=body, seen=sent))
    return comment.correlation


def _merge_known(draft: Draft, name: str, comment: ObservedComment, context: Context) -> None:
    held = draft.link.comments[name]
    ours = draft.record.comments.get(name)
    if ours is None or held.gone:
        return
    if comment.deleted:
        draft.set_comment(name, structs.replace(held, gone=True))
        if not ours.deleted:
            draft.set_hub_comment(
                name, HubComment(body=ours.body, public=ours.public, deleted=True, source=ours.source)
            )
            draft.comments.append(CommentChange(action="delete", id=name, key=comment.key))
        return
    if comment.body == held.seen:
        return
    spelled = context.spelling.normal(FIELD, ours.body)
    if spelled == comment.body:
        draft.set_comment(name, LinkComment(key=comment.key, agreed=ours.body, seen=comment.body))
        return
    if held.agreed not in (UNSET, ours.body):
        draft.set_comment(
            name, LinkComment(key=comment.key, agreed=UNSET, seen=comment.body, flag="divergent")
        )
        return
    body = str(context.spelling.inward(FIELD, comment.body))
    draft.set_comment(name, LinkComment(key=comment.key, agreed=body, seen=comment.body))
    draft.set_hub_comment(name, HubComment(body=body, public=ours.public, source=ours.source))
    draft.comments.append(_change("edit", name, comment, body))


def _add(draft: Draft, comment: ObservedComment, context: Context) -> None:
    marked = comment.correlation in draft.record.comments and context.rules.own_comments
    if marked:
        return
    name = context.comment_id(comment.key)
    body = str(context.spelling.inward(FIELD, comment.body))
    draft.set_comment(name, LinkComment(key=comment.key, agreed=body, seen=comment.body))
    draft.set_hub_comment(name, HubComment(body=body, public=comment.public, source=context.connection))
    draft.comments.append(_change("add", name, comment, body))


def _change(action: str, name: str, comment: ObservedComment, body: str) -> CommentChange:
    return CommentChange(action="add" if action == "add" else "edit", id=name, key=comment.key, body=body,
                         public=comment.public, author=comment.author, at=comment.at)  # fmt: skip


def map_sent(draft: Draft, operation: Operation, seen: Sighting, context: Context) -> bool:
    """Find the comment that `operation` wrote and map it; False if the partner does not show it.

    It is looked for by the key of the response, by our marker, then by its body among the new ones. Its
    base is the body as *sent*: what a user has made of it since is merged as an edit, not swallowed.
    """
    shown = seen.observation.comments or ()
    if operation.comment_key:
        return _map_revised(draft, operation, seen, context)
    spelled = str(context.spelling.normal(FIELD, operation.comment_body))
    new = [each for each in shown if each.key not in operation.known]
    found = next(
        (each for each in new if operation.response_key and each.key == operation.response_key), None
    )
    if context.rules.own_comments:
        found = found or next((each for each in new if each.correlation == operation.comment), None)
        found = found or next((each for each in new if each.body == spelled), None)
    if found is None:
        return False
    body = spelled if context.rules.comment_as_sent else found.body
    draft.set_comment(operation.comment, LinkComment(key=found.key, agreed=operation.comment_body, seen=body))
    return True


def _map_revised(draft: Draft, operation: Operation, seen: Sighting, context: Context) -> bool:
    """Map a comment that `operation` changed or removed; False if the partner shows it as it was."""
    held = draft.link.comments[operation.comment]
    shown = next(
        (each for each in seen.observation.comments or () if each.key == operation.comment_key), None
    )
    if shown is None or shown.deleted:
        # Lists are asked for whole after a write: what is not in them is gone.
        absent = seen.observation.comments is not None
        draft.set_comment(operation.comment, structs.replace(held, gone=True) if absent else held)
        return absent
    spelled = str(context.spelling.normal(FIELD, operation.comment_body))
    if operation.comment_gone or shown.body != spelled:
        return False
    draft.set_comment(
        operation.comment, structs.replace(held, agreed=operation.comment_body, seen=shown.body)
    )
    return True
