"""What schemathesis checks of an answer, beside its own checks."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.check
def answered(ctx: Any, response: Any, case: Any) -> None:
    """No fault of the server; 501 is for what a body may ask for and is not built."""
    assert response.status_code < 500 or (
        response.status_code == 501 and response.json()["code"] == "not-implemented"
    ), response.text
