"""What the product answered against what the model answers."""

from tests.model.records import Facts


def compare(told: Facts, foreseen: Facts) -> None:
    """Hold what the product told to what the model foresaw; a replay in a batch carries only its subject."""
    because = foreseen.get("because")
    if isinstance(because, set) and told.get("because") in because:
        foreseen = {**foreseen, "because": told["because"]}
    if "refused" in told or "refused" in foreseen:
        same(told, foreseen)
    else:
        same(told, {key: foreseen.get(key) for key in told})


def same(found: Facts, expected: Facts) -> None:
    """Hold two tellings of the same to each other; tell only where they differ."""
    differing = {key: (found.get(key), expected.get(key)) for key in found | expected}
    differing = {key: (one, other) for key, (one, other) in differing.items() if one != other}
    assert differing == {}, f"(product, model): {differing}"
