"""Plain text ↔ Atlassian Document Format, for descriptions and comments.

Our text goes out as paragraphs with hard breaks and comes back exactly (outer blanks apart). What people
format in Jira comes in as plain text: lists with dashes, links as `text (address)`; the formatting is lost.
"""

from __future__ import annotations

from typing import Any

Node = dict[str, Any]
_DEPTH_MAX = 30
_BLOCKS = frozenset(
    {"paragraph", "heading", "codeBlock", "blockquote", "panel", "bulletList", "orderedList", "taskList",
     "decisionList", "listItem", "taskItem", "decisionItem", "table", "tableRow", "expand", "nestedExpand",
     "rule", "mediaSingle", "mediaGroup", "blockCard", "layoutSection", "layoutColumn"}
)  # fmt: skip
_TIGHT = frozenset({"bulletList", "orderedList", "taskList", "decisionList", "table", "tableRow", "listItem"})


def to_adf(text: str) -> Node:
    """Return the document of a plain text: a blank line starts a paragraph, a line end is a hard break."""
    return {"type": "doc", "version": 1, "content": [_paragraph(each) for each in text.split("\n\n")]}


def from_adf(document: Any) -> str:
    """Return the plain text of a document, outer blanks removed; anything but a document is empty text."""
    if not isinstance(document, dict) or document.get("type") != "doc":
        return ""
    return _joined(document, 0, "\n\n").strip()


def _paragraph(text: str) -> Node:
    content: list[Node] = []
    for index, line in enumerate(text.split("\n")):
        if index:
            content.append({"type": "hardBreak"})
        if line:  # an empty text node is not a valid one
            content.append({"type": "text", "text": line})
    return {"type": "paragraph", "content": content} if content else {"type": "paragraph"}


def _children(node: Node) -> list[Node]:
    content = node.get("content")
    return [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []


def _joined(node: Node, depth: int, between: str) -> str:
    if depth > _DEPTH_MAX:
        return ""
    parts, inline = [], ""
    for index, child in enumerate(_children(node)):
        if child.get("type") in _BLOCKS:
            if inline:
                parts.append(inline)
            inline = ""
            parts.append(_block(child, node, index, depth + 1))
        else:
            inline += _inline(child)
    return between.join([*parts, inline] if inline or not parts else parts)


def _block(node: Node, parent: Node, index: int, depth: int) -> str:
    kind = str(node.get("type"))
    if kind == "rule":
        return "----"
    text = _joined(node, depth, "\n" if kind in _TIGHT else "\n\n")
    match kind, parent.get("type"):
        case ("heading", _):
            return f"{'#' * int(_attribute(node, 'level') or 1)} {text}"
        case ("listItem", "orderedList"):
            return f"{index + 1}. {text}"
        case (("listItem" | "decisionItem"), _):
            return f"- {text}"
        case ("taskItem", _):
            return f"[{'x' if _attribute(node, 'state') == 'DONE' else ' '}] {text}"
        case _:
            return text


def _inline(node: Node) -> str:
    match node.get("type"):
        case "text":
            return str(node.get("text", "")) + _address(node)
        case "hardBreak":
            return "\n"
        case "mention" | "emoji" | "status":
            return str(_attribute(node, "text") or _attribute(node, "shortName") or "")
        case "inlineCard":
            return str(_attribute(node, "url") or "")
        case "date":
            return str(_attribute(node, "timestamp") or "")
        case _:
            return _joined(node, _DEPTH_MAX, "")


def _address(node: Node) -> str:
    marks = node.get("marks")
    for mark in marks if isinstance(marks, list) else []:
        if isinstance(mark, dict) and mark.get("type") == "link":
            href = str(_attribute(mark, "href") or "")
            return "" if href in {"", node.get("text")} else f" ({href})"
    return ""


def _attribute(node: Node, name: str) -> Any:
    attributes = node.get("attrs")
    return attributes.get(name) if isinstance(attributes, dict) else None
