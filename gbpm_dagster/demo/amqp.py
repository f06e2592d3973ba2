"""AMQP 1.0 as one side of a connection: frames in and out, and the sections of a Service Bus message.

Belongs here: bytes, in the wire forms of OASIS AMQP 1.0, with the codec that `azure-servicebus` carries (pure Python,
private to that package, so only this module touches it). Not here: queues, locks (`queues`), replies (`links`).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from azure.servicebus._pyamqp import _decode, _encode, outcomes, performatives
from azure.servicebus._pyamqp.endpoints import Source, Target
from azure.servicebus._pyamqp.error import AMQPError
from azure.servicebus._pyamqp.message import Message, Properties

AMQP, SASL = b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00"
SASL_FRAME = b"\x01"
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(16, 25)
MAX_FRAME = 1024 * 1024
SENDER, RECEIVER = False, True
HEADER, DELIVERY_NOTES, NOTES, DATA = 0x70, 0x71, 0x72, 0x75

__all__ = ["AMQPError", "Message", "Properties", "Source", "Target", "outcomes", "performatives"]


class Frame(NamedTuple):
    """A frame that came: its channel, its performative's code, and the performative's fields in their order."""

    channel: int
    code: int
    fields: list[Any]


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame; None for an empty one (a sign of life). Raises IncompleteReadError at the end of the stream."""
    head = await reader.readexactly(8)
    size, offset, _, channel = struct.unpack(">IBBH", head)
    body = await reader.readexactly(size - 8)
    body = body[offset * 4 - 8 :]
    if not body:
        return None
    code, fields = _decode.decode_frame(memoryview(body))
    return Frame(channel, code, fields)


def frame(channel: int, performative: Any, kind: bytes = b"\x00") -> bytes:
    """The bytes of one frame."""
    head, body = _encode.encode_frame(performative, frame_type=kind)
    return head + struct.pack(">H", channel) + bytes(body or b"")


def decode(payload: bytes) -> Message:
    """A message from its bytes. Keys and values of its maps are bytes, as the client shows them."""
    return _decode.decode_payload(memoryview(payload))


def encode(message: Message) -> bytes:
    return bytes(_encode.encode_payload(bytearray(), message))


def typed(kind: str, value: Any) -> dict[str, Any]:
    """A value that is written as the AMQP type of that name (`timestamp`, `int`, `symbol`, `uuid`, `array`)."""
    return {"TYPE": getattr(_encode.AMQPTypes, kind), "VALUE": value}


# --- the sections of a message


def sections(payload: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(descriptor, start, start of the value, end) of each section. Raises ValueError: not a message."""
    at = 0
    while at < len(payload):
        start = at
        if payload[start] != 0 or len(payload) < start + 3:
            raise ValueError("this is no AMQP message")
        small = payload[start + 1] == 0x53
        code, value = (payload[start + 2], start + 3) if small else (payload[start + 9], start + 10)
        at = _end(payload, value)
        yield code, start, value, at


def _end(payload: bytes, at: int) -> int:
    """Where the value ends whose constructor is at `at`: the constructor's high half says how wide it is."""
    wide = payload[at] >> 4
    if wide in (0xA, 0xC, 0xE):
        return at + 2 + payload[at + 1]
    if wide in (0xB, 0xD, 0xF):
        return at + 5 + int(struct.unpack_from(">I", payload, at + 1)[0])
    return at + 1 + {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}[wide]


def bare(payload: bytes) -> bytes:
    """The message as its sender meant it: without header, delivery and message annotations."""
    dropped = (HEADER, DELIVERY_NOTES, NOTES)
    return b"".join(payload[start:end] for code, start, _, end in sections(payload) if code not in dropped)


def unbatched(payload: bytes) -> list[bytes]:
    """The messages in a transfer: a batch is one message whose data sections are encoded messages."""
    parts = [bytes(_binary(payload, value)) for code, _, value, _ in sections(payload) if code == DATA]
    inside = [part for part in parts if part[:2] in (b"\x00\x53", b"\x00\x80")]
    return parts if parts and len(inside) == len(parts) else [payload]


def _binary(payload: bytes, at: int) -> bytes:
    return payload[at + (2 if payload[at] == 0xA0 else 5) : _end(payload, at)]


def stamped(message: bytes, deliveries: int, notes: Mapping[str, tuple[str, int | str]]) -> bytes:
    """The bare message with the broker's header (delivery-count) and annotations {name: (AMQP type, value)}."""
    out = bytearray(b"\x00\x53\x70\xc0\x0a\x05\x40\x40\x40\x40\x70" + struct.pack(">I", deliveries))
    values = bytearray()
    for name, (kind, value) in notes.items():
        _encode.encode_symbol(values, name)
        _encode.encode_value(values, typed(kind, value))
    out += b"\x00\x53\x72\xd1" + struct.pack(">II", len(values) + 4, 2 * len(notes)) + values
    return bytes(out) + message
