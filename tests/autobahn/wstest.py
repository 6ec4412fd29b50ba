"""Runs wstest with its fuzzing server on loopback only; the original listens on all interfaces."""
from autobahntestsuite import choosereactor  # noqa: must be imported first
from autobahntestsuite import fuzzing, wstest

listen = fuzzing.listenWS
fuzzing.listenWS = lambda factory, contextFactory=None: listen(factory, contextFactory, interface="127.0.0.1")
wstest.run()
