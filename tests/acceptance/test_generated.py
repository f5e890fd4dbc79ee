"""Requests that schemathesis makes up from `/openapi.json`, sent to a running server.

SMPLY_GENERATED is how many for each operation and way of making them up (5), SMPLY_SEED the seed.
"""

from __future__ import annotations

import os
import subprocess
import sys

import httpx
import pytest

from smply.api import unbuilt
from tests.acceptance.house import House

CHECKS = (
    "answered", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance", "response_headers_conformance",
)  # fmt: skip
METHODS = {"get", "post", "put", "delete"}


def test_a_made_up_request_is_answered_as_the_document_says(house: House) -> None:
    server = house.serve("--port", "0", "--network", "none")
    url, token = server.told["url"], server.told["accessToken"]
    house.run("machines", "create", "-m", "my-machine", "--node", "m.ts")
    named = ("-m", "my-machine", "-i", "user-1234", "--auth-context", "{}")
    house.run("instances", "create", *named)
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    # It reads the document itself first of all.
    others = {path for _, path in unbuilt.ROUTES} | {"/openapi.json"}
    built = sum(len(way.keys() & METHODS) for path, way in paths.items() if path not in others)
    left_out = [f"--exclude-path={path}" for path in others]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", *left_out,
         "--header", f"authorization: Bearer {token}", "--phases=examples,coverage,fuzzing",
         "--max-examples", os.environ.get("SMPLY_GENERATED", "5"),
         "--seed", os.environ.get("SMPLY_SEED", "1"), "--generation-database=none",
         f"--checks={','.join(CHECKS)}", "--continue-on-failure", "--no-color", "--warnings=off"],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.acceptance.generated_checks"},
        cwd=house.path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    assert f"Tested: {built}\n" in done.stdout, done.stdout
    if server.log.read_text().count("smply has a fault"):
        pytest.fail(server.log.read_text())
