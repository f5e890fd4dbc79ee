"""Every route that is built: what it needs, and whom it calls; what is not is in `unbuilt.ROUTES`.

A row is a method, a path, a verb and a scope (openapi.yaml's `x-required-scope`, or for `admin` its
`x-admin-key-scope`). Routes are tried in this order.
"""

from __future__ import annotations

from smply.api import info, instances, keys, logs, machines, people, providers, versions

_M = "/machines/{machineSlug}"
_I = _M + "/i/{instanceSlug}"
_SIGNED = "{signedMachineVersionId}"
_V = _M + "/v/{machineVersionId}"

EVENT = instances.send_event
"""The one write that is told by the history of an instance, and not in the audit."""

OF_ENGINE = (
    # The path of an event comes first.
    ("POST", f"{_I}/events", instances.send_event, "events.write"),
    ("GET", _I, instances.get_instance, "state.read"),
    ("POST", _M, instances.create_instance, "instances.write"),
    ("GET", f"{_M}/i", instances.list_instances, "instances.read"),
    ("GET", f"{_I}/admin", instances.get_instance_admin, "instances.admin"),
    ("GET", f"{_I}/events", instances.list_transitions, "events.read"),
    ("PUT", f"{_I}/status", instances.set_status, "instances.admin"),
    ("DELETE", _I, instances.delete_instance, "instances.admin"),
    ("GET", "/machines", machines.list_machines, "machines.read"),
    ("POST", "/machines", machines.create_machine, "machines.write"),
    ("GET", _M, machines.get_machine, "machines.read"),
    ("DELETE", _M, machines.delete_machine, "machines.admin"),
    ("PUT", f"/smply{_M}/current-version", machines.set_current, "machine-versions.write"),
    ("GET", f"{_M}/v", versions.list_versions, "machine-versions.read"),
    ("POST", f"{_M}/v", versions.provision_version, "machine-versions.write"),
    ("PUT", f"{_M}/v/{_SIGNED}", versions.finalize_version, "machine-versions.write"),
    ("GET", f"/smply{_V}", versions.get_version, "machine-versions.read"),
    ("GET", f"/smply{_V}/code", versions.get_code, "machine-versions.read"),
    ("GET", "/smply/usage", info.get_usage, "org.read"),
    ("GET", "/logs", logs.get_logs, "logs.read"),
    ("GET", f"/smply{_I}", instances.inspect_instance, "instances.admin"),
)  # fmt: skip
"""Of machines, their versions and instances: `verb(request, engine, actor)`."""

OF_ORG = (
    ("GET", "/keys", keys.list_keys, "org.read"),
    ("POST", "/keys", keys.create_key, "org.keys.write"),
    ("DELETE", "/keys/{keyId}", keys.delete_key, "org.keys.write"),
    ("GET", "/idps", providers.list_identity_providers, "tokens.admin"),
    ("POST", "/idps", providers.put_identity_provider, "tokens.admin"),
    ("DELETE", "/idps", providers.delete_identity_provider, "tokens.admin"),
    ("GET", "/token-providers", providers.list_token_providers, "tokens.admin"),
    ("POST", "/token-providers", providers.put_token_provider, "tokens.admin"),
    ("DELETE", "/token-providers/{service}", providers.delete_token_provider, "tokens.admin"),
    ("POST", "/org-members", people.send_invitation, "org-members.write"),
    ("GET", "/smply/members", people.list_members, "org-members.read"),
    ("PUT", "/smply/members/{user}", people.set_role, "org-members.write"),
    ("DELETE", "/smply/members/{user}", people.remove_member, "org-members.write"),
    ("GET", "/smply/invitations", people.list_invitations, "org-members.write"),
    ("DELETE", "/smply/invitations/{id}", people.revoke_invitation, "org-members.write"),
    ("GET", "/billing", info.get_billing, "org.write"),
    ("GET", "/smply/audit", info.list_audit, "org.read"),
)
"""Of an org: `verb(request, access, actor)`."""

OF_PERSON = (
    ("GET", "/orgs", people.list_orgs),
    ("POST", "/orgs", people.create_org),
    ("GET", "/smply/tokens", people.list_tokens),
    ("POST", "/smply/tokens", people.create_token),
    ("DELETE", "/smply/tokens/{id}", people.delete_token),
)
"""Of a person, in whatever org: `verb(request, access, user)`; they need no scope."""

ACCEPT = ("/invitations/{invitation}", "/{invitation}")
"""Where an invitation is accepted, with PUT; the npm tool's way (F27) comes after every other."""
