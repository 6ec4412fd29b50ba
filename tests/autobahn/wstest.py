"""wstest, with its fuzzing server on the loopback interface alone: by itself it listens on all of them."""
from autobahntestsuite import choosereactor  # noqa: it must come first
from autobahntestsuite import fuzzing, wstest

listen = fuzzing.listenWS
fuzzing.listenWS = lambda factory, contextFactory=None: listen(factory, contextFactory, interface="127.0.0.1")
wstest.run()
