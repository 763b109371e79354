"""Settings: read once, refused when they contradict each other, and silent about secrets."""

import pytest

from wallet_core.settings import Settings, SettingsError, read_settings

SECRET = "hunter2"
URL = f"postgresql://wallet:{SECRET}@db.example/wallet"


def test_defaults_are_consistent() -> None:
    """A process with nothing set but the database runs."""

    settings = read_settings()

    assert settings.bank.call_deadline_s <= settings.payouts.lease_s / 3
    assert settings.payouts.grace_s > (
        settings.payouts.send_window_s + settings.bank.call_deadline_s + settings.payouts.lease_s
    )


def test_missing_database_url_is_reported_with_how_to_get_one() -> None:
    """Only `make up` brings a database of its own."""

    with pytest.raises(SettingsError, match="WALLET_DATABASE_URL is not set: set it, or run `make up`"):
        read_settings().required_database_url()


def test_a_call_deadline_longer_than_a_third_of_the_lease_is_refused() -> None:
    """The worker must be done, settled and gone before its lease runs out."""

    with pytest.raises(SettingsError) as refused:
        read_settings(bank_call_deadline_s=10.1)

    assert "WALLET_BANK_CALL_DEADLINE_S" in str(refused.value)
    assert "WALLET_PAYOUT_LEASE_S" in str(refused.value)


def test_a_call_deadline_of_a_third_of_the_lease_is_taken() -> None:
    """The border belongs to the good side."""

    settings = read_settings(bank_call_deadline_s=10)

    assert settings.bank.call_deadline_s == 10


@pytest.mark.parametrize("grace_s", [38, 37.9, 1])
def test_a_grace_that_a_late_call_could_outlive_is_refused(grace_s: float) -> None:
    """'Not found' is believed only once no worker can still be sending."""

    with pytest.raises(SettingsError, match=r"WALLET_PAYOUT_GRACE_S .* \(38 s\)"):
        read_settings(payout_grace_s=grace_s)


def test_a_grace_just_longer_than_any_call_is_taken() -> None:
    """The border belongs to the bad side."""

    settings = read_settings(payout_grace_s=38.1)

    assert settings.payouts.grace_s == 38.1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POOL_SIZE", "0"),
        ("POOL_SIZE", "many"),
        ("BATCH_MAX", "-1"),
        ("GRPC_PORT", "65536"),
        ("LOG_LEVEL", "LOUD"),
        ("LOCK_TIMEOUT_S", "0"),
        ("PAYOUT_ATTEMPTS_MAX", "0"),
        ("PAYOUT_LEASE_S", "nan"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_the_name_of_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader of the message knows the variable, not our field."""

    monkeypatch.setenv(f"WALLET_{name}", value)

    with pytest.raises(SettingsError, match=f"WALLET_{name}"):
        read_settings()


def test_everything_that_is_wrong_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look, one correction."""

    monkeypatch.setenv("WALLET_POOL_SIZE", "0")
    monkeypatch.setenv("WALLET_COMMIT_BATCH_MAX", "0")

    with pytest.raises(SettingsError) as refused:
        read_settings()

    assert "pool_size" in str(refused.value).lower()
    assert "commit_batch_max" in str(refused.value).lower()


def test_an_endless_time_is_refused_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not later, by a clock that cannot count that far."""

    monkeypatch.setenv("WALLET_PAYOUT_GRACE_S", "inf")

    with pytest.raises(SettingsError):
        read_settings()


@pytest.mark.parametrize("url", ["nonsense", "localhost:8010", "ftp://bank.example", ""])
def test_a_bank_that_no_http_call_can_reach_is_refused(url: str) -> None:
    """A mistyped address would otherwise put every payout in doubt."""

    with pytest.raises(SettingsError):
        read_settings(bank_url=url)


def test_json_that_cannot_be_read_is_refused_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Together with all else that is wrong; the value, which may be secret, is not shown."""

    monkeypatch.setenv("WALLET_CALLERS", "{secret")
    monkeypatch.setenv("WALLET_POOL_SIZE", "0")

    with pytest.raises(SettingsError, match=r"WALLET_POOL_SIZE: .*WALLET_CALLERS: is not valid JSON") as refused:
        read_settings()

    assert "secret" not in str(refused.value)


def test_a_changed_copy_is_checked_like_the_environment() -> None:
    """Its other values stay, also those that the environment does not have."""

    changed = read_settings(commit_queue_max=10).replaced(grpc_threads=2)

    assert (changed.ledger.commit_queue_max, changed.grpc.threads) == (10, 2)
    with pytest.raises(SettingsError, match="WALLET_PAYOUT_GRACE_S"):
        changed.replaced(payout_grace_s=1)
    with pytest.raises(SettingsError, match=r"WALLET_THREADS is no setting"):
        changed.replaced(threads=1)


def test_an_unknown_override_is_refused() -> None:
    """A typo must not be a silent default."""

    with pytest.raises(SettingsError, match="WALLET_DATABSE_URL"):
        read_settings(databse_url=URL)


def test_a_misspelt_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing is near; what does not begin like ours is not looked at."""

    monkeypatch.setenv("WALLET_PAYOUT_GRACE", "60")
    monkeypatch.setenv("WALLET_XYZZY", "1")
    monkeypatch.setenv("PAYOUT_GRACE", "60")

    with pytest.raises(SettingsError) as refused:
        read_settings()

    assert str(refused.value) == (
        "WALLET_PAYOUT_GRACE is no setting; did you mean WALLET_PAYOUT_GRACE_S?; WALLET_XYZZY is no setting"
    )


def test_the_environment_is_read_with_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is handed over comes before it."""

    monkeypatch.setenv("WALLET_COMMIT_BATCH_MAX", "7")
    monkeypatch.setenv("WALLET_COMMIT_QUEUE_MAX", "8")
    monkeypatch.setenv("BATCH_MAX", "9")
    settings = read_settings(commit_queue_max=10)

    assert (settings.ledger.commit_batch_max, settings.ledger.commit_queue_max) == (7, 10)


def test_the_database_password_is_shown_nowhere() -> None:
    """Settings end up in logs and tracebacks."""

    settings = read_settings(database_url=URL)

    assert settings.required_database_url() == URL
    for shown in (repr(settings), str(settings), repr(settings.database.url), settings.model_dump_json()):
        assert SECRET not in shown


def test_an_error_beside_a_database_url_does_not_quote_it() -> None:
    """Pydantic would show the input that it refuses, the whole of it for a contradiction."""

    for wrong in ({"payout_grace_s": 1}, {"pool_size": 0}, {"typo": URL}):
        with pytest.raises(SettingsError) as refused:
            read_settings(database_url=URL, **wrong)

        assert SECRET not in str(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__


def test_settings_cannot_be_changed() -> None:
    """Read once per process."""

    settings: Settings = read_settings()

    with pytest.raises(ValueError, match="frozen"):
        settings.connections.pool_size = 1
