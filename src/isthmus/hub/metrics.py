"""What the engine counts, for `/metrics`. Each process has its own registry; names never overlap.

`front` answers scrapes: it shows its own registry and the text that the others last left beside the readiness file
(they do not listen on any port).
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

FRONT = CollectorRegistry()
PUMP = CollectorRegistry()
LANES = CollectorRegistry()
KEEPER = CollectorRegistry()
REGISTRIES: Final = {"front": FRONT, "pump": PUMP, "lanes": LANES, "keeper": KEEPER}

ACCEPTED = Gauge("isthmus_intake_accepted", "Messages made durable since the start.", registry=FRONT)
GROUPS = Gauge("isthmus_intake_commits", "Group commits of the intake log since the start.", registry=FRONT)
REFUSED = Gauge(
    "isthmus_intake_refused",
    "Messages refused at the door since the start.",
    ["connection", "reason"],
    registry=FRONT,
)
WAITING = Gauge("isthmus_intake_waiting", "Messages waiting for the disk.", registry=FRONT)
STREAM_PEERS = Gauge("isthmus_stream_peers", "Senders connected to the stream listener.", registry=FRONT)
STREAM_MESSAGES = Counter(
    "isthmus_stream_messages", "Messages made durable by the stream listener.", ["connection"], registry=FRONT
)
MAIL_PEERS = Gauge("isthmus_mail_peers", "Mail servers connected to the mail listener.", registry=FRONT)
MAIL_MESSAGES = Counter(
    "isthmus_mail_messages", "Mails made durable by the mail listener.", ["connection"], registry=FRONT
)
STREAMS = Gauge("isthmus_live_streams", "Open live streams.", registry=FRONT)
GATES = Gauge("isthmus_gate_waits", "Gate checks waiting for a decision.", registry=FRONT)

MESSAGES = Counter("isthmus_pump_messages", "Messages taken from the log.", ["connection"], registry=PUMP)
BATCHES_FAILED = Counter(
    "isthmus_pump_batches_failed", "Batches taken again message by message.", ["connection"], registry=PUMP
)
PARKED = Counter("isthmus_pump_parked", "Observations parked.", ["connection"], registry=PUMP)
LAG = Gauge(
    "isthmus_pump_lag_seconds", "Age of the oldest message not yet taken.", ["connection"], registry=KEEPER
)
TURNSTILE = Histogram(
    "isthmus_pump_turnstile_seconds",
    "How long a batch held the right to write.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5),
    registry=PUMP,
)
PRUNED = Counter(
    "isthmus_pruned_rows", "Settled rows removed after their retention.", ["what"], registry=KEEPER
)
DUE = Counter("isthmus_due_handled", "Waits that ended.", ["what", "result"], registry=PUMP)
POLLS = Counter("isthmus_polls", "Polls of partners.", ["connection", "result"], registry=LANES)
POLL_REFUSED = Counter(
    "isthmus_poll_refused",
    "Messages that polls read and that may not enter.",
    ["connection", "reason"],
    registry=LANES,
)
STREAMS_OPEN = Gauge(
    "isthmus_streams_open", "Whether a partner's event stream is open.", ["connection"], registry=LANES
)
STREAMED = Counter(
    "isthmus_streamed_observations", "Observations that streams brought.", ["connection"], registry=LANES
)
STREAM_BREAKS = Counter(
    "isthmus_stream_breaks",
    "Event streams that broke or could not be opened.",
    ["connection"],
    registry=LANES,
)
UNSEALED = Gauge(
    "isthmus_unsealed_age_seconds", "Age of the oldest entry that is not sealed.", registry=KEEPER
)
