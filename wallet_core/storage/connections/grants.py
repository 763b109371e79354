"""The role of server and scheduler, and its grants: it may add to history and never change it.

Created by every ``migrate``: a role belongs to a cluster, so a dump that is restored into another cluster lacks it.
"""

ROLE_AND_GRANTS = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'wallet_service') THEN
        CREATE ROLE wallet_service NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this cluster is migrated at the same moment
END
$$;

DO $$
BEGIN
    -- From version 16 on, the creator of a role is a member of it but may not SET ROLE to it.
    IF current_setting('is_superuser') = 'on' OR NOT pg_has_role(
        current_user,
        'wallet_service',
        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END
    ) THEN
        EXECUTE format('GRANT wallet_service TO %I', current_user);
    END IF;
END
$$;

GRANT SELECT ON
    wallets, currencies, transactions, transaction_labels, entries, entry_totals, requests, outbox, journal,
    withdrawals, scheduled_deposits, holds, commission_rules, bank_attempts, bank_statement_lines,
    bank_statement_cursor, bank_statements, bank_rate_limit, resolutions, unique_references, page_token_keys,
    checkpoints, checkpoint_keys, journal_summaries, journal_last_events, alembic_version, webhooks, webhook_cursor,
    webhook_queues, webhook_deliveries, webhook_attempts
    TO wallet_service;
GRANT INSERT ON
    wallets, currencies, transactions, transaction_labels, entries, entry_totals, requests, outbox, journal,
    withdrawals, scheduled_deposits, holds, commission_rules, bank_attempts, bank_statement_lines,
    bank_statements, resolutions, unique_references, checkpoints, checkpoint_keys, journal_summaries,
    journal_last_events, webhooks, webhook_queues, webhook_deliveries, webhook_attempts
    TO wallet_service;
GRANT USAGE ON SEQUENCE wallet_keys TO wallet_service;
GRANT DELETE ON outbox, webhook_deliveries, webhook_attempts TO wallet_service;
GRANT UPDATE (display_name, state, balance, held, overdraft_limit, sequence, last_time, labels, revision)
    ON wallets TO wallet_service;
GRANT UPDATE (update_time, state, next_attempt_time, lease_until, fence, inquiries, bank_reference, failure_reason,
              attention, unapplied, reconciled)
    ON withdrawals TO wallet_service;
GRANT UPDATE (update_time, state, next_attempt_time, lease_until, fence, inquiries, bank_reference, failure_reason,
              attention, unapplied, reconciled, credit)
    ON scheduled_deposits TO wallet_service;
GRANT UPDATE (captured, state, update_time, lease_until, fence) ON holds TO wallet_service;
GRANT UPDATE (end_time) ON commission_rules TO wallet_service;
GRANT UPDATE (answer, reference, detail, answer_time) ON bank_attempts TO wallet_service;
GRANT UPDATE (match_result, explanation, resolution, resolved_by, person, token_id)
    ON bank_statement_lines TO wallet_service;
GRANT UPDATE (url, description, types, wallet, owner, label_key, label_value, state, disabled_reason, secret,
              secret_number, previous_secret, previous_secret_until, revision, update_time, queued_to,
              redeliver_since, redeliver_until)
    ON webhooks TO wallet_service;
GRANT UPDATE (failures) ON webhook_queues TO wallet_service;
GRANT UPDATE (state, attempts, tries, next_attempt_time, lease_until, fence, end_time)
    ON webhook_deliveries TO wallet_service;
GRANT UPDATE ON webhook_cursor, bank_rate_limit, bank_statement_cursor TO wallet_service;
"""
