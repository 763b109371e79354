-- Stops a slip even of the owner, e.g. a forgotten WHERE. A superuser can still disable triggers on purpose.
CREATE FUNCTION refuse_change_of_history() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'history is never changed: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Correct it by a transaction of its own.';
END
$$;
