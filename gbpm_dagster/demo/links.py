"""One connection to the broker stand-in: sessions, links, tokens, deliveries and their settlement.

Belongs here: what a Service Bus peer says to each frame, as far as queues need it: peek-lock and receive-and-delete,
senders, renewal of locks and settlement over `$management`. Sessions of messages, topics, deferring and scheduling
are not there. Not here: the queues' rules (`queues`), the listening socket and the faults' levers (`broker`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from gbpm_dagster.demo import amqp
from gbpm_dagster.demo.amqp import AMQPError, outcomes, performatives
from gbpm_dagster.demo.queues import ABANDON, COMPLETE, DEAD_LETTER, RELEASE, Lock, Queue

CREDIT, WINDOW = 1000, 2**31 - 1
LOCK_LOST = "com.microsoft:message-lock-lost"
OUTCOMES = {"accepted": COMPLETE, "released": RELEASE, "modified": ABANDON, "rejected": DEAD_LETTER}
STATUSES = {"completed": COMPLETE, "abandoned": ABANDON, "suspended": DEAD_LETTER}
"""What the client's dispositions, and its words over `$management`, are to a queue."""


class Hub(Protocol):
    """What a connection needs of its broker."""

    refuse_tokens: bool
    refuse_links: bool
    delay_s: float

    def queue(self, address: str) -> Queue | None: ...

    def pump(self, queue: Queue) -> None:
        """Deliver what is ready to whoever has credit."""


@dataclass(eq=False, slots=True)
class Link:
    """An attached link. sending: whether the broker sends on it; credit: so many messages more it may send."""

    session: Session
    handle: int
    address: str
    sending: bool
    settled: bool
    queue: Queue | None = None
    credit: int = 0
    count: int = 0
    partial: bytearray = field(default_factory=bytearray)


@dataclass(eq=False, slots=True)
class Session:
    """A channel: its links by handle, and the unsettled deliveries by id."""

    channel: int
    links: dict[int, Link] = field(default_factory=dict)
    unsettled: dict[int, tuple[Queue, bytes]] = field(default_factory=dict)
    next_id: int = 0


class Connection:
    """Talks with one client until it closes or the stream breaks."""

    def __init__(self, hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._hub, self._reader, self._writer = hub, reader, writer
        self._sessions: dict[int, Session] = {}
        self._max_frame = amqp.MAX_FRAME
        self._on: dict[int, Callable[[int, list[Any]], None]] = {
            amqp.OPEN: self._open,
            amqp.BEGIN: self._begin,
            amqp.ATTACH: self._attach,
            amqp.FLOW: self._flow,
            amqp.TRANSFER: self._transfer,
            amqp.DISPOSITION: self._disposition,
            amqp.DETACH: self._detach,
            amqp.END: self._end,
        }

    @property
    def links(self) -> list[Link]:
        return [link for session in self._sessions.values() for link in session.links.values()]

    async def serve(self) -> None:
        """Answer frames until the client closes; raises IncompleteReadError or OSError when it just goes."""
        await self._greet()
        while True:
            got = await amqp.read_frame(self._reader)
            if got is None:
                continue
            if got.code == amqp.CLOSE:
                self._send(0, performatives.CloseFrame(error=None))
                return
            self._on[got.code](got.channel, got.fields)
            await self._writer.drain()

    def alive(self) -> None:
        """An empty frame, so that a client that counts the silence does not give up."""
        self._writer.write(b"\x00\x00\x00\x08\x02\x00\x00\x00")

    def cut(self) -> None:
        """End without a word, as a fault of the network would."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.transport.abort()

    async def _greet(self) -> None:
        if await self._reader.readexactly(8) == amqp.SASL:
            mechanisms = performatives.SASLMechanism([b"ANONYMOUS", b"PLAIN", b"MSSBCBS"])
            self._writer.write(amqp.SASL + amqp.frame(0, mechanisms, amqp.SASL_FRAME))
            await amqp.read_frame(self._reader)  # what it says of itself is not looked at: tokens are put later
            self._writer.write(amqp.frame(0, performatives.SASLOutcome(0, None), amqp.SASL_FRAME))
            await self._reader.readexactly(8)
        self._writer.write(amqp.AMQP)

    def _send(self, channel: int, performative: Any) -> None:
        self._writer.write(amqp.frame(channel, performative))

    # --- connection and sessions

    def _open(self, channel: int, fields: list[Any]) -> None:
        self._max_frame = min(fields[2], amqp.MAX_FRAME)
        blank = dict.fromkeys(performatives.OpenFrame._fields)
        given = {"container_id": "gbpm-broker", "max_frame_size": amqp.MAX_FRAME, "channel_max": 255}
        self._send(0, performatives.OpenFrame(**{**blank, **given}))

    def _begin(self, channel: int, fields: list[Any]) -> None:
        self._sessions[channel] = Session(channel)
        blank = dict.fromkeys(performatives.BeginFrame._fields)
        given = {"remote_channel": channel, "next_outgoing_id": 0, "incoming_window": WINDOW}
        given |= {"outgoing_window": WINDOW, "handle_max": 255}
        self._send(channel, performatives.BeginFrame(**{**blank, **given}))

    def _end(self, channel: int, fields: list[Any]) -> None:
        self._sessions.pop(channel, None)
        self._send(channel, performatives.EndFrame(error=None))

    # --- links

    def _attach(self, channel: int, fields: list[Any]) -> None:
        name, handle, role, settle, _, source, target = fields[:7]
        sending = role == amqp.RECEIVER
        address = ((source if sending else target) or [b""])[0].decode()
        link = Link(self._sessions[channel], handle, address, sending, settled=settle == 1)
        link.queue = self._hub.queue(address)
        self._sessions[channel].links[handle] = link
        self._attached(link, name, settle, fields[4], source, target)
        refused = None if address.endswith(("$cbs", "$management")) else self._refusal(link)
        if refused is not None:
            del self._sessions[channel].links[handle]
            self._send(channel, performatives.DetachFrame(handle=handle, closed=True, error=refused))
        elif not sending:
            self._grant(link)

    def _refusal(self, link: Link) -> AMQPError | None:
        if link.queue is None:
            words = f"The messaging entity '{link.address}' could not be found."
            return AMQPError(condition=b"amqp:not-found", description=words, info=None)
        if self._hub.refuse_links:
            return AMQPError(condition=b"amqp:unauthorized-access", description="refused by the stand-in", info=None)
        return None

    def _attached(self, link: Link, name: bytes, settle: int, mode: int, source: Any, target: Any) -> None:
        where = {"durable": 0, "expiry_policy": b"session-end", "timeout": 0, "dynamic": False}
        ends = [
            kind(**{**dict.fromkeys(kind._fields), **where, "address": (fields or [b""])[0]})
            for kind, fields in ((amqp.Source, source), (amqp.Target, target))
        ]
        blank = dict.fromkeys(performatives.AttachFrame._fields)
        given = {
            "name": name.decode(),
            "handle": link.handle,
            "role": amqp.SENDER if link.sending else amqp.RECEIVER,
            "send_settle_mode": settle,
            "rcv_settle_mode": mode,
            "source": ends[0],
            "target": ends[1],
            "initial_delivery_count": 0,
            "max_message_size": 100 * amqp.MAX_FRAME,
        }
        self._send(link.session.channel, performatives.AttachFrame(**{**blank, **given}))

    def _detach(self, channel: int, fields: list[Any]) -> None:
        if self._sessions[channel].links.pop(fields[0], None) is not None:
            self._send(channel, performatives.DetachFrame(handle=fields[0], closed=bool(fields[1]), error=None))

    def _grant(self, link: Link) -> None:
        link.credit = CREDIT
        self._send(link.session.channel, self._flowing(link))

    def _flowing(self, link: Link) -> Any:
        blank = dict.fromkeys(performatives.FlowFrame._fields)
        given = {"next_incoming_id": 0, "incoming_window": WINDOW, "next_outgoing_id": link.session.next_id}
        given |= {"outgoing_window": WINDOW, "handle": link.handle, "delivery_count": link.count}
        return performatives.FlowFrame(**{**blank, **given, "link_credit": link.credit})

    def _flow(self, channel: int, fields: list[Any]) -> None:
        link = self._sessions[channel].links.get(fields[4]) if fields[4] is not None else None
        if link is None or not link.sending:
            return
        link.credit = max(0, (fields[5] or 0) + (fields[6] or 0) - link.count)
        if link.queue is not None and not link.address.endswith("$management"):
            self._hub.pump(link.queue)
        if fields[8]:  # drain: what credit is left is used up
            link.count, link.credit = link.count + link.credit, 0
            self._send(channel, self._flowing(link))

    # --- to the client

    def deliver(self, link: Link, lock: Lock) -> None:
        """Send a locked message on a link with credit; in receive-and-delete mode it is gone at once."""
        assert link.queue is not None
        item = lock.item
        notes: dict[str, tuple[str, int | str]] = {
            "x-opt-sequence-number": ("long", item.sequence),
            "x-opt-enqueued-time": ("timestamp", int(item.enqueued * 1000)),
        }
        if not link.settled:
            notes["x-opt-locked-until"] = ("timestamp", int(lock.until * 1000))
        if item.reason:
            notes["x-opt-deadletter-source"] = ("string", link.queue.name.split("/")[0])
        number = self._write(link, lock.token, amqp.stamped(item.message, item.deliveries, notes), link.settled)
        if link.settled:
            link.queue.settle(lock.token, COMPLETE)
        else:
            link.session.unsettled[number] = (link.queue, lock.token)

    def _write(self, link: Link, tag: bytes, payload: bytes, settled: bool) -> int:
        """A transfer in as many frames as it needs; returns its delivery id."""
        session = link.session
        number, session.next_id = session.next_id, session.next_id + 1
        link.count, link.credit = link.count + 1, link.credit - 1
        room = self._max_frame - 512
        blank = dict.fromkeys(performatives.TransferFrame._fields)
        for start in range(0, max(len(payload), 1), room):
            given: dict[str, Any] = {"handle": link.handle, "more": start + room < len(payload)}
            if start == 0:
                given |= {"delivery_id": number, "delivery_tag": tag, "message_format": 0, "settled": settled}
            part = payload[start : start + room]
            self._send(session.channel, performatives.TransferFrame(**{**blank, **given, "payload": part}))
        return number

    def _disposition(self, channel: int, fields: list[Any]) -> None:
        role, first, last, settled, state, _ = fields[:6]
        if role != amqp.RECEIVER:
            return
        session = self._sessions[channel]
        (said, details), *_ = (state or {"released": []}).items()
        for number in range(first, (first if last is None else last) + 1):
            if number not in session.unsettled:
                continue
            queue, token = session.unsettled.pop(number)
            held = queue.settle(token, OUTCOMES[said], _reason(details))
            if not settled:
                self._confirm(channel, number, said if held else "lost")
            self._hub.pump(queue)

    def _confirm(self, channel: int, number: int, said: str) -> None:
        """Echo the outcome, as Service Bus does; the client takes nothing else for a confirmation."""
        lost = AMQPError(condition=LOCK_LOST.encode(), description="The lock supplied is invalid.", info=None)
        state = {
            "accepted": outcomes.Accepted(),
            "released": outcomes.Released(),
            "modified": outcomes.Modified(True, False, None),
            "rejected": outcomes.Rejected(None),
            "lost": outcomes.Rejected(lost),
        }[said]
        self._send(channel, _settled(amqp.SENDER, number, state))

    # --- from the client

    def _transfer(self, channel: int, fields: list[Any]) -> None:
        link = self._sessions[channel].links[fields[0]]
        link.partial += fields[11]
        if fields[5]:
            return
        payload, link.partial = bytes(link.partial), bytearray()
        if not fields[4]:
            self._send(channel, _settled(amqp.RECEIVER, fields[1], outcomes.Accepted()))
        link.count, link.credit = link.count + 1, link.credit - 1
        if link.credit < CREDIT // 2:
            self._grant(link)
        if link.address.endswith("$cbs"):
            self._answer(link, payload, self._token())
        elif link.address.endswith("$management"):
            self._answer(link, payload, self._manage(link, amqp.decode(payload)))
        elif link.queue is not None:
            for message in amqp.unbatched(payload):
                link.queue.put(amqp.bare(message))
            self._hub.pump(link.queue)

    def _token(self) -> dict[str, Any]:
        code, words = (401, "refused by the stand-in") if self._hub.refuse_tokens else (202, "Accepted")
        return {"status-code": code, "status-description": words}

    def _answer(self, asked: Link, payload: bytes, properties: dict[str, Any]) -> None:
        """Send an answer on the link of the same address on which the client listens."""
        listening = (k for k in asked.session.links.values() if k.sending and k.address == asked.address)
        link = next(listening, None)
        if link is None:
            return
        asked_as: Any = amqp.decode(payload).properties
        same = amqp.Properties(correlation_id=asked_as.message_id)
        said: Any = {name: value for name, value in properties.items() if name}
        answer = amqp.Message(properties=same, value=properties.get(""), application_properties=said)
        self._write(link, b"answer", amqp.encode(answer), settled=True)

    def _manage(self, link: Link, question: Any) -> dict[str, Any]:
        """The answer to an operation: its properties, and its body under the empty name."""
        queue, value = link.queue, question.value or {}
        tokens = [token.bytes_le for token in value.get(b"lock-tokens", [])]
        operation = question.application_properties[b"operation"].decode().removeprefix("com.microsoft:")
        lost = {"statusCode": 410, "statusDescription": LOCK_LOST, "errorCondition": amqp.typed("symbol", LOCK_LOST)}
        done: dict[str, Any] = {"statusCode": 200, "statusDescription": "OK"}
        if queue is None:
            return {"statusCode": 404, "statusDescription": "no such queue"}
        if operation == "renew-lock":
            until = [queue.renew(token) for token in tokens]
            if None in until:
                return lost
            return {**done, "": {"expirations": [amqp.typed("timestamp", int((u or 0) * 1000)) for u in until]}}
        if operation == "update-disposition":
            outcome = STATUSES[value[b"disposition-status"].decode()]
            held = [queue.settle(token, outcome, _text(value.get(b"deadletter-reason"))) for token in tokens]
            self._hub.pump(queue)
            return done if all(held) else lost
        return {"statusCode": 501, "statusDescription": f"{operation} is not in this stand-in"}


def _settled(role: bool, number: int, state: Any) -> Any:
    return performatives.DispositionFrame(
        role=role, first=number, last=number, settled=True, state=state, batchable=None
    )


def _reason(details: Any) -> str:
    """The reason in a rejection: [[condition, description, {b"DeadLetterReason": ...}]]."""
    error = details[0] if details else None
    info = error[2] if isinstance(error, list) and len(error) > 2 else None
    return _text((info or {}).get(b"DeadLetterReason"))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")
