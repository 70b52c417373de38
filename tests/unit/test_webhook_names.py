"""The guarded sender and names: resolving one is part of the request, and of its time."""

import socket
import threading
import time

import pytest

from tests.unit.test_webhook_sender import refusal, wait_for


def test_a_name_that_nobody_resolves_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name server does not answer, and the resolver waits for it longer than we may."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: wait_for(over))
    began = time.monotonic()
    error = refusal("https://hospital.example/", timeout_s=0.4)
    took = time.monotonic() - began
    over.set()
    assert error.code == "no_answer"
    assert took < 5


def test_a_name_that_does_not_exist_is_worth_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hospital's name server may be away."""

    def unknown(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = refusal("https://hospital.example/")
    assert (error.code, error.retryable) == ("no_connection", True)
