"""waitress as devpi-server starts it, with fair threads and room for a new connection at any time."""

import logging
import resource
from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from waitress.adjustments import Adjustments
from waitress.server import MultiSocketServer, TcpWSGIServer, create_server
from waitress.task import ThreadedTaskDispatcher

from mirror.plugin.connections.channel import Channel
from mirror.plugin.connections.dispatcher import LANES, FairDispatcher
from mirror.plugin.metrics import counters, wsgi

_OTHER_FILES = 300  # descriptors for the database, files that are sent, upstreams
_SETTINGS = {
    "asyncore_use_poll": True,  # select(2) knows no descriptor above 1023
    "cleanup_interval": 5,  # seconds from one check for slow clients to the next
    "log_socket_errors": False,  # a client that goes away is no news, and could fill the disk with it
    "max_request_header_size": 64 * 1024,
    "recv_bytes": 64 * 1024,
}


def apply(config: Any) -> None:
    """Let devpi start this server instead of waitress's."""
    config.waitress_info["kwargs"]["_server"] = create  # waitress.serve calls it


def create(app: Any, **settings: Any) -> Any:
    """A server for each address that devpi listens on, as waitress.server.create_server makes them."""
    if "unix_socket" in settings:  # those who may open it are known
        return create_server(app, **settings)
    adjustments = Adjustments(**settings, **_SETTINGS)
    most = min(adjustments.connection_limit, _open_files() - _OTHER_FILES)
    adjustments.connection_limit = 2 * most  # waitress would accept nobody then; we make room before
    sockets: dict[int, Any] = {}
    dispatcher = FairDispatcher(adjustments.threads)
    for lane in LANES:
        counters.QUEUE.labels(f"requests_{lane}").set_function(partial(dispatcher.queue.waiting, lane))
    monitoring = {address: _one_thread() for address in wsgi.ADDRESSES}
    servers = [
        Server(
            app,
            sockets,
            dispatcher=dispatcher,
            adj=adjustments,
            sockinfo=listen,
            most=most,
            monitoring=monitoring,
        )
        for listen in adjustments.listen
    ]
    addresses = [(server.effective_host, server.effective_port) for server in servers]
    return MultiSocketServer(sockets, adjustments, addresses, dispatcher, servers[-1].log_info)


def _one_thread() -> ThreadedTaskDispatcher:
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(1)
    return dispatcher


def _open_files() -> int:
    """Raise the limit of open files to what the system allows, and return it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 1_000_000


class Server(TcpWSGIServer):
    """Listens on one address. Closes an old connection of the busiest client when there are `most`."""

    channel_class = Channel

    def __init__(
        self, *args: Any, most: int, monitoring: Mapping[str, ThreadedTaskDispatcher], **kwargs: Any
    ) -> None:
        """`monitoring` has threads apart for addresses that are to answer when all others are busy."""
        self._most = most
        self._monitoring = monitoring
        super().__init__(*args, **kwargs)
        self.logger = logging.getLogger("packhorse.connections")

    def handle_accept(self) -> None:
        super().handle_accept()
        if len(self._map) > self._most:
            channels = [channel for channel in self._map.values() if isinstance(channel, Channel)]
            if len(channels) > self._most:
                least_deserving(channels).drop()

    def add_task(self, task: Any) -> None:
        if isinstance(task, Channel):
            request = task.requests[0]
            task.name_client(request)
            if not request.error and (dispatcher := self._monitoring.get(request.path)):
                dispatcher.add_task(task)
                return
        super().add_task(task)

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            channel.check_progress(now)


def least_deserving(channels: Collection[Channel]) -> Channel:
    """The connection to close for a new one: of the client that has most, the one that waits longest.

    That is one on which no request is being answered; if all are, it is the newest.
    """
    [(busiest, _)] = Counter(channel.client for channel in channels).most_common(1)
    theirs = [channel for channel in channels if channel.client == busiest]
    waiting = [channel for channel in theirs if not channel.is_busy]
    if waiting:
        return min(waiting, key=lambda channel: channel.served_at)
    return max(theirs, key=lambda channel: channel.served_at)
