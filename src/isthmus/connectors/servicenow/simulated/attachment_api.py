"""The Attachment API of a simulated instance: list, content, upload of a file's raw bytes."""

from __future__ import annotations

from aiohttp import web

from isthmus.connectors.servicenow.simulated.instance import FILE, Instance, Refusal
from isthmus.connectors.servicenow.simulated.query import select

PATH = "/api/now/attachment"


class AttachmentApi:
    """Three routes over one instance, as its integration user."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(PATH, self._list),
            web.post(f"{PATH}/file", self._add),
            web.get(f"{PATH}/{{key}}/file", self._content),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        limit, offset = int(query.get("sysparm_limit", "1000")), int(query.get("sysparm_offset", "0"))
        columns = self._instance.columns(FILE)
        found = select(lambda: self._instance.rows(FILE), query.get("sysparm_query", ""), columns)
        return web.json_response({"result": found[offset : offset + limit]})

    async def _content(self, request: web.Request) -> web.Response:
        try:
            content = self._instance.content(request.match_info["key"])
        except Refusal as refusal:
            return _failure(refusal)
        return web.Response(body=content, content_type="application/octet-stream")

    async def _add(self, request: web.Request) -> web.Response:
        asked, instance = request.query, self._instance
        try:
            file = instance.attach(
                asked["table_name"], asked["table_sys_id"], asked["file_name"], request.content_type,
                await request.read(), instance.integration_user,
            )  # fmt: skip
        except Refusal as refusal:
            return _failure(refusal)
        return web.json_response({"result": file}, status=201)


def _failure(refusal: Refusal) -> web.Response:
    error = {"message": refusal.message, "detail": refusal.detail}
    return web.json_response({"error": error, "status": "failure"}, status=refusal.status)
