"""Both clients against a real server on loopback, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import UNSET

from smply import AsyncClient, Client, Conflict, NoAnswer, NotFound
from tests.acceptance.house import House, Server

TOGGLER = Path(__file__).parents[1] / "benchmarks" / "toggler.js"
ACT = {"sub": "bench"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that nobody else uses."""
    house = House(tmp_path_factory.mktemp("house"))
    server = house.serve("--port", "0")
    yield server
    server.stop()


def client_of(server: Server) -> Client:
    return Client(server.told["url"], token=server.told["accessToken"])


def test_a_machine_lives_over_http(server: Server) -> None:
    with client_of(server) as client:
        client.machines.create("toggler")
        version = client.versions.create(
            "toggler", TOGGLER.read_bytes(), client_info="1", make_current=True
        )
        client.instances.create("toggler", "one", act=ACT)
        state = client.instances.send("toggler", "one", "toggle", act=ACT)
        assert (state.state, state.public_context) == ("on", {"count": 1})
        assert client.instances.get("toggler", "one", act=ACT) == state
        assert client.instances.get_admin("toggler", "one").context["owner"] == "bench"
        assert client.instances.inspect("toggler", "one").seq == 2
        assert [row.name for row in client.instances.list("toggler").items] == ["one"]
        assert len(client.instances.transitions("toggler", "one").items) == 2
        assert client.versions.list("toggler").items[0].id == version
        assert client.versions.get("toggler", version).definition["id"] == "toggler"
        assert client.machines.get("toggler").indexes == []
        assert [machine.name for machine in client.machines.list().items] == ["toggler"]


def test_a_machine_ends_over_http(server: Server) -> None:
    """S158-S163."""
    with client_of(server) as client:
        client.machines.create("ending")
        versions = [client.versions.create("ending", TOGGLER.read_bytes()) for _ in "ab"]
        client.machines.set_current("ending", versions[0])
        current = client.machines.get("ending").current_version
        assert current is not UNSET
        assert current.id == versions[0]
        client.instances.create("ending", "one", act=ACT)
        client.instances.set_status("ending", "one", "paused")
        with pytest.raises(Conflict, match="one is paused"):
            client.instances.send("ending", "one", "toggle", act=ACT)
        with pytest.raises(Conflict, match="ending has instances"):
            client.machines.delete("ending")
        client.instances.delete("ending", "one")
        client.machines.delete("ending")
        with pytest.raises(NotFound):
            client.machines.get("ending")


@pytest.mark.anyio
async def test_what_a_server_refuses_is_raised(server: Server) -> None:
    async with AsyncClient(server.told["url"], token=server.told["accessToken"]) as client:
        with pytest.raises(NotFound, match="there is no machine nowhere"):
            await client.machines.get("nowhere")


def test_a_server_that_is_not_there_is_no_answer() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(NoAnswer, match="cannot be reached"):
        client.machines.list()
