"""A program that follows a stream as an EventSource does: by id, across every interruption."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
import requests


@dataclass
class Message:
    """One message of a stream."""

    id: str
    event: str
    data: Any


def messages(answer: requests.Response) -> Iterator[Message]:
    """Yield messages, also those that only carry an id (`event` is '' then)."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines(chunk_size=None, decode_unicode=True):
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        elif fields:
            data = orjson.loads(fields["data"]) if "data" in fields else None
            yield Message(fields.get("id", ""), fields.get("event", ""), data)
            fields = {}


@dataclass
class Follower:
    """Follows `url` in a thread of its own until closed; keeps every message with data."""

    url: str
    token: str = ""
    after: str = ""
    cookie: str = ""
    got: list[Message] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following, at the latest with the next message or heartbeat."""
        self._closing.set()

    def __enter__(self) -> Self:
        """Follow."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        self.close()

    def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                self._once()
            except requests.RequestException:
                self._closing.wait(0.05)

    def _once(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.cookie:
            headers["Cookie"] = self.cookie
        if self.after:
            headers["Last-Event-ID"] = self.after
        with requests.get(self.url, headers=headers, stream=True, timeout=20) as answer:
            if answer.status_code != 200:
                self._closing.wait(0.05)
                return
            self.connections += 1
            for message in messages(answer):
                self.after = message.id or self.after
                if message.event:
                    self.got.append(message)
                if self._closing.is_set():
                    return
