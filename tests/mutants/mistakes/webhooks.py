"""Mistakes in webhooks: what is queued, claimed, sent and marked."""

from tests.mutants.change import Change
from tests.mutants.mistake import Mistake

DELIVERIES = "tests/scheduler/test_webhooks.py"
RETRIES = "tests/scheduler/test_webhook_retries.py"
QUERIES = "tests/storage/test_webhook_queries.py"
CALLS = "tests/unit/test_endpoint_calls.py"
ADDRESSES = "tests/unit/test_endpoint_policy.py"
QUEUE = "wallet_core/storage/scheduling/webhooks.py"
ENDPOINTS = "wallet_core/gateways/endpoints.py"

WEBHOOKS = (
    Mistake(
        "events of one wallet are sent side by side",
        (Change(f"{QUEUE}:CLAIM", "HAVING bool_and(is_first)", "HAVING bool_and(is_first) IS NOT NULL"),),
        DELIVERIES,
    ),
    Mistake(
        "a webhook takes all places of a process",
        (Change(f"{QUEUE}:CLAIM", "ELSE %(at_once)s END", "ELSE 1000 END"),),
        DELIVERIES,
    ),
    Mistake(
        "a worker whose claim was lost marks the delivery",
        (Change(f"{QUEUE}:END", "AND fence = %(fence)s AND state = 'PENDING'", "AND state = 'PENDING'"),),
        DELIVERIES,
    ),
    Mistake(
        "a process that was frozen sends what another one has sent since",
        (Change("wallet_core/usecases/deliver_webhook.py:deliver", "age > policy.send_within", "False"),),
        DELIVERIES,
    ),
    Mistake(
        "the cursor passes records that were not queued",
        (
            Change(
                f"{QUEUE}:WebhookQueue.queue", "tx.execute(MOVE_CURSOR, [end])", "tx.execute(MOVE_CURSOR, [end + 1])"
            ),
        ),
        DELIVERIES,
    ),
    Mistake(
        "requests are signed by the newest secret alone",
        (
            Change(
                f"{ENDPOINTS}:signed",
                "[Signer(secret).sign(message, now, body.decode()) for secret in secrets]",
                "[Signer(secret).sign(message, now, body.decode()) for secret in secrets[:1]]",
            ),
        ),
        DELIVERIES,
    ),
    Mistake(
        "an answer to an earlier URL disables the webhook",
        (Change(f"{QUEUE}:DISABLE", "AND revision = %(revision)s", ""),),
        RETRIES,
    ),
    Mistake(
        "an endpoint can put off a delivery for ever",
        (
            Change(
                "wallet_core/domain/model/webhook.py:WebhookPolicy.next_try",
                "min(self.retry_after_max, timedelta(seconds=min(retry_after_s or 0.0, 1e9)))",
                "timedelta(seconds=min(retry_after_s or 0.0, 1e9))",
            ),
        ),
        RETRIES,
    ),
    Mistake(
        "a redelivery ends with its first step",
        (Change(f"{QUEUE}:redeliver_dead_letters", "again < limit", "again <= limit"),),
        QUERIES,
    ),
    Mistake(
        "each pruning reads all that was delivered",
        (
            Change(
                f"{QUEUE}:PRUNE",
                "end_time < now() + %(offset)s - %(delivered_kept)s",
                "end_time < clock_timestamp() + %(offset)s - %(delivered_kept)s",
            ),
        ),
        QUERIES,
    ),
    Mistake(
        "a redirect is followed",
        (
            Change(
                f"{ENDPOINTS}:HttpEndpoints._send_to",
                "httpx.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=False, timeout=None)",
                "httpx.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=True, timeout=None)",
            ),
        ),
        CALLS,
    ),
    Mistake(
        "an address in disguise is taken for a public one",
        (
            Change(
                "wallet_core/addresses.py:EndpointPolicy.permits",
                "all(self._permits(one) for one in _meant(found))",
                "self._permits(found)",
            ),
        ),
        ADDRESSES,
    ),
)
