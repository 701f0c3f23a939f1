"""The client of all connectors: guarded, bounded, one request per call, silent about secrets."""

import asyncio
import socket
import traceback

import pytest
from aiohttp import web

from isthmus.connectors.kit.address_guard import refusal
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.kit.http import Basic, HttpClient
from isthmus.connectors.kit.manifest import Limits
from isthmus.connectors.kit.reactions import REACTIONS, reaction, retry_after
from isthmus.connectors.kit.simulator import Simulator
from isthmus.kernel.errors import IsthmusError, NeedsOperator, Rejected, Retryable, UnknownOutcome

SECRET = "s3cr3t-t0ken"
LIMITS = Limits(response_bytes_max=10_000)
IMPATIENT = Limits(request_seconds_max=1.5, response_bytes_max=10_000)
"""For a partner that is told to say nothing."""


class Echo(Simulator):
    token = SECRET

    def routes(self):
        return [web.route("*", "/{tail:.*}", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        self.shelf("seen").put(str(len(self.shelf("seen"))), {"path": request.path})
        return web.json_response({"path": request.path, "secret": SECRET})


def call(act, *, limits=LIMITS, private=True, **client_options):
    async def run():
        simulator = Echo()
        url = await simulator.start()
        client = HttpClient(
            url,
            limits=limits,
            headers={"Authorization": f"Bearer {SECRET}"},
            secrets=(SECRET,),
            allow_private_addresses=private,
            **client_options,
        )
        try:
            return await act(client, simulator)
        finally:
            await client.close()
            await simulator.stop()

    return asyncio.run(run())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "224.0.0.1",  # noqa: S104
        "100.64.0.1", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::",
        "not an address",
    ],
)  # fmt: skip
def test_inner_addresses_are_refused(address):
    assert refusal(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_are_not(address):
    assert not refusal(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_the_guard_holds_at_the_moment_of_connecting(host):
    async def act(_, simulator):
        port = simulator._runner.addresses[0][1]
        async with HttpClient(f"http://{host}:{port}", limits=LIMITS) as client:
            with pytest.raises(NeedsOperator, match="private or local"):
                await client.get("/x")
        return simulator.calls

    assert call(act) == []


def test_a_name_that_turns_to_an_inner_address_is_refused(monkeypatch):
    async def inner(*_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]

    async def act(_, simulator):
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "getaddrinfo", inner, raising=False)
        async with HttpClient("http://rebinding.example.test", limits=LIMITS) as client:
            with pytest.raises(NeedsOperator, match="private or local"):
                await client.get("/x")

    call(act)


def test_a_redirect_is_not_followed():
    async def act(client, simulator):
        simulator.faults.plan(Fault.STATUS, status=302)
        with pytest.raises(NeedsOperator, match="302"):
            await client.get("/x")
        return len(simulator.calls)

    assert call(act) == 1


def test_a_passing_read_and_a_passing_write_of_the_same_fault_differ():
    async def act(client, simulator):
        found = []
        for method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
            for fault in (Fault.RESET_AFTER_COMMIT, Fault.TIMEOUT_AFTER_COMMIT):
                simulator.calls.clear()
                simulator.faults.plan(fault)
                with pytest.raises(Retryable) as caught:
                    await client.call(method, "/x")
                found.append((method, type(caught.value), len(simulator.calls)))
        return found

    for method, kind, requests in call(act, limits=IMPATIENT):
        assert kind is (Retryable if method == "GET" else UnknownOutcome), method
        assert requests <= 1, f"{method} was repeated"


def test_a_refused_connection_means_that_nothing_happened():
    async def act(client, simulator):
        await simulator.stop()
        with pytest.raises(Retryable) as caught:
            await client.call("POST", "/x", json={})
        return type(caught.value)

    assert call(act) is Retryable


def test_an_answer_without_end_is_cut_off():
    async def act(client, simulator):
        simulator.faults.plan(Fault.OVERSIZED, times=2)
        with pytest.raises(NeedsOperator, match="more than 10000 bytes"):
            await client.get("/x")
        with pytest.raises(UnknownOutcome):
            await client.call("POST", "/x")

    call(act)


def test_no_secret_in_any_error_repr_or_trace():
    async def act(client, simulator):
        shown = repr(client) + repr(Basic(user="u", password=SECRET))
        for status in sorted(REACTIONS):
            simulator.faults.plan(Fault.STATUS, status=status)
            try:
                await client.call("POST", f"/x?token={SECRET}", params=None)
            except IsthmusError as error:
                shown += "".join(traceback.format_exception(error)) + repr(vars(error))
        for fault in (Fault.RESET_AFTER_COMMIT, Fault.TIMEOUT_AFTER_COMMIT, Fault.BAD_JSON):
            simulator.faults.plan(fault)
            try:
                (await client.get(f"/x?token={SECRET}")).wild()
            except IsthmusError as error:
                shown += "".join(traceback.format_exception(error)) + repr(vars(error))
        return shown

    assert SECRET not in call(act, limits=IMPATIENT)


@pytest.mark.parametrize("url", ["ftp://x", "https://", "http://user:pass@x", "x", ""])
def test_an_unusable_address_is_refused_before_any_call(url):
    with pytest.raises(Rejected):
        HttpClient(url, limits=LIMITS)


def test_every_status_has_a_reaction():
    for status in range(200, 600):
        for writes in (True, False):
            found = reaction(status, writes=writes)
            assert (found == "done") is (status < 300)
            assert writes or found != "unknown"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("17", 17.0), ("0.5", 0.5), ("-3", 0.0), ("1e9", 86_400.0), ("", None), ("soon", None), ("nan", None),
     ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0), ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_and_bounded(value, expected):
    assert retry_after({"retry-after": value}, 60.0) == expected
