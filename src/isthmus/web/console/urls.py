"""Paths of the console."""

from __future__ import annotations

from importlib.util import find_spec

from django.urls import path

from isthmus.web.console import (
    alerts, audit, configuration, conflicts, incidents, live, maps, overview, people, systems, traces,
)  # fmt: skip

if find_spec("isthmus.practices.change.service"):
    from isthmus.web.console import changes
if find_spec("isthmus.hub.lanes.service"):
    from isthmus.web.console import deliveries

urlpatterns = [
    path("", overview.index, name="overview"),
    path("find", traces.find),
    path("live-ticket", live.ticket),
    path("alerts", alerts.index),
    path("alerts/<str:alert_id>", alerts.one),
    path("alerts/<str:alert_id>/silence", alerts.silence),
    path("incidents", incidents.index),
    path("incidents/many", incidents.many),
    path("incidents/<str:incident_id>", incidents.one),
    path("incidents/<str:incident_id>/comment", incidents.comment),
    path("incidents/<str:incident_id>/change", incidents.change),
    path("incidents/<str:incident_id>/resolve", incidents.resolve),
    path("incidents/<str:incident_id>/reopen", incidents.reopen),
    path("map", maps.index),
    path("map/<str:ci_id>", maps.one),
    path("systems", systems.index),
    path("systems/<str:name>/pause", systems.pause),
    path("systems/<str:name>/resume", systems.resume),
    path("systems/<str:name>/probe", systems.probe),
    path("conflicts", conflicts.index),
    path("conflicts/<str:conflict_id>", conflicts.one),
    path("conflicts/<str:conflict_id>/decide", conflicts.decide),
    path("trace", traces.index),
    path("trace/<str:wanted>", traces.one),
    path("audit", audit.index),
    path("audit/verify", audit.verify),
    path("audit/download", audit.download),
    path("configuration", configuration.index),
    path("configuration/plan", configuration.plan),
    path("configuration/apply", configuration.apply),
    path("configuration/<int:sequence>", configuration.one),
    path("configuration/<int:sequence>/rollback", configuration.rollback),
    path("people", people.index),
    path("people/add", people.add),
    path("people/<str:person_id>/grant", people.grant),
    path("people/grants/<str:grant_id>/revoke", people.revoke),
    path("tokens", people.list_tokens),
    path("tokens/issue", people.issue),
    path("tokens/<str:account_id>/revoke", people.revoke_token),
]
if find_spec("isthmus.practices.change.service"):
    urlpatterns += [
        path("changes", changes.index),
        path("changes/calendar", changes.calendar),
        path("changes/gate", changes.gate),
        path("changes/new", changes.new),
        path("changes/<str:change_id>", changes.one),
        path("changes/<str:change_id>/<str:action>", changes.move),
        path("approvals/<str:approval_id>/decide", changes.decide),
    ]
if find_spec("isthmus.hub.lanes.service"):
    urlpatterns += [
        path("deliveries", deliveries.index),
        path("deliveries/retry", deliveries.retry),
        path("deliveries/retry-all", deliveries.retry_all),
        path("deliveries/parked/<str:message_id>/retry", deliveries.retry_message),
    ]
