"""What every servicer is handed."""

from dataclasses import dataclass

from wallet_core.usecases.app import App
from wallet_grpc.paging import PageTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The core, and the edge's own limits and secrets."""

    app: App
    page_tokens: PageTokens
    deadline_max_s: float
