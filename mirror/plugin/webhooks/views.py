"""GET /+webhooks and /+webhooks/test: what waits for its delivery, and a test message, for root."""

import secrets
import time
from typing import Any

from devpi_server.views import apiresult

from mirror.plugin.admin import logins
from mirror.plugin.webhooks import sender
from mirror.plugin.webhooks.sender import Webhooks
from mirror.plugin.webhooks.spool import Message


def install(pyramid_config: Any, webhooks: Webhooks) -> None:
    """Add the addresses."""

    @logins.root_only
    def show(_request: Any) -> Any:
        """The state of each webhook; of its URL the host alone."""
        return apiresult(200, result=[_state(each) for each in webhooks.senders], type="webhooks")

    @logins.root_only
    def test(request: Any) -> Any:
        """Send each a message of type "test" now, and say what came of it."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        event = {"time": moment, "action": "test", "result": "ok", "who": request.authenticated_userid}
        results = []
        for each in webhooks.senders:
            message = Message(f"msg_{secrets.token_hex(16)}", sender.body(event, "test"), time.time())
            results.append({"host": each.webhook.host, "problem": webhooks.post(each.webhook, message)})
        return apiresult(200, result=results, type="webhooks")

    # Both by GET: in a POST devpi's one writer would wait for the answers of the webhooks.
    for name, address, view in (("webhooks", "/+webhooks", show), ("webhook test", "/+webhooks/test", test)):
        pyramid_config.add_route(f"packhorse {name}", address)
        pyramid_config.add_view(view, route_name=f"packhorse {name}", request_method="GET")


def _state(each: sender.Sender) -> dict[str, Any]:
    state = each.state
    return {
        "host": each.webhook.host,
        "events": list(each.webhook.events),
        "waiting": each.waiting,
        "delivered": state.delivered,
        "dropped": state.dropped,
        "problem": state.problem,
    }
