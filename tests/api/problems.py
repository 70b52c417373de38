"""What every refusal looks like."""

from werkzeug.test import TestResponse


def problem(answer: TestResponse, status: int, code: str, field: str | None = None) -> None:
    """Check that an answer is this problem, and whole."""
    assert answer.content_type == "application/problem+json", answer.text
    body = answer.get_json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body.get("field") == field, body
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    assert body["retryable"] is False
    assert "Traceback" not in answer.text
