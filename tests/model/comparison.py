"""What the product answered against what the model answers."""

from tests.model.records import Facts


def compare(facts: Facts, foreseen: Facts) -> None:
    """Compare the product's answer with the model's; a replay in a batch has only its subject."""
    because = foreseen.get("because")
    if isinstance(because, set) and facts.get("because") in because:
        foreseen = {**foreseen, "because": facts["because"]}
    if "refused" in facts or "refused" in foreseen:
        same(facts, foreseen)
    else:
        same(facts, {key: foreseen.get(key) for key in facts})


def same(found: Facts, expected: Facts) -> None:
    """Compare two sets of facts; report only where they differ."""
    differing = {key: (found.get(key), expected.get(key)) for key in found | expected}
    differing = {key: (one, other) for key, (one, other) in differing.items() if one != other}
    assert differing == {}, f"(product, model): {differing}"
