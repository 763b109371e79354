"""Collects the client's packages from the repository, which lie outside of this folder."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PACKAGES = {"wallet_client": "wallet_client", "gen/wallet": "wallet", "gen/buf": "buf"}


class Collect(BuildHookInterface):  # type: ignore[type-arg]  # its configuration is the default
    """Adds them to a wheel. An editable install takes them from where they are (``dev-mode-dirs``)."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the packages and the licence."""
        if version == "standard":
            repository = Path(self.root).parents[1]
            packages = {str(repository / path): name for path, name in _PACKAGES.items()}
            build_data["force_include"] |= packages | {str(repository / "LICENSE"): "wallet_client/LICENSE"}
