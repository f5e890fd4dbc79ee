"""Everything that decides who may come in, joined: see the members."""

from __future__ import annotations

from collections.abc import Callable

from smply.clock import Clock
from smply.identity.anonymous import anonymous_of
from smply.identity.exchange import Exchange
from smply.identity.jwks import KeySets
from smply.identity.keys import Keys
from smply.identity.people import AccessTokens, Invitations, Members, Orgs
from smply.identity.providers import Providers
from smply.identity.secrets import Sealer
from smply.store import Accounts


class Access:
    """The accounts and what may be done with them.

    `on_change` is called whenever this process has taken rights away or changed them.
    """

    def __init__(self, accounts: Accounts, sealer: Sealer, clock: Clock, key_sets: KeySets) -> None:
        self.accounts = accounts
        self.clock = clock
        self.on_change: Callable[[], None] = lambda: None
        self.keys = Keys(accounts, sealer, clock, self._changed)
        self.orgs = Orgs(accounts, clock, anonymous_of(self.keys, sealer), self._changed)
        self.members = Members(accounts, self._changed)
        self.tokens = AccessTokens(accounts, clock, self._changed)
        self.invitations = Invitations(accounts, clock, self._changed)
        self.providers = Providers(accounts, sealer)
        self.exchange = Exchange(accounts, self.keys, self.providers, key_sets, clock)

    def _changed(self) -> None:
        self.on_change()
