"""The changelog can be released as it is: its newest version is the package's, in the groups of Keep a Changelog."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
GROUPS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def test_newest_version_is_the_packages_own() -> None:
    """``Unreleased`` comes first, then the version that pyproject.toml has."""

    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert headings[:2] == ["Unreleased", version]


def test_entries_are_in_groups_in_their_order() -> None:
    """Every entry of a version is below a group; ``Breaking`` is written in one way."""

    text = (ROOT / "CHANGELOG.md").read_text()
    for version in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        before, *groups = re.split(r"^### ", version, flags=re.MULTILINE)
        names = [group.partition("\n")[0] for group in groups]
        assert names == [name for name in GROUPS if name in names]
        assert "\n- " not in before
    assert "BREAKING" not in text
