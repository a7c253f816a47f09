"""Services that all mirror indexes of one process share: the client, the parser, caches, the write queue."""

from collections.abc import Callable
from dataclasses import dataclass

from mirror.plugin.upstream.client import UpstreamClient
from mirror.plugin.upstream.file_records.first_seen import FirstSeen
from mirror.plugin.upstream.page_cache import PageCache
from mirror.plugin.upstream.parser_process import ParserProcess
from mirror.plugin.write_queue import WriteQueue

SERVICES = ("+packhorse", "services")  # name of the singleton in devpi's XOM


@dataclass(frozen=True)
class Services:
    """Services that all mirrors of one process share."""

    client: UpstreamClient
    parser: ParserProcess
    writes: WriteQueue
    pages: PageCache
    first_seen: FirstSeen
    forget_metadata: Callable[[str], None] = lambda _: None  # of the wheels of a deleted index
