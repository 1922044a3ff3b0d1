-- What only looks: as the superuser after every step, and on the direct road within the session's own
-- transaction. Each table is read in a subtransaction that is rolled back, so that no lock is kept.
CREATE SCHEMA observer;
GRANT USAGE ON SCHEMA observer TO PUBLIC;

-- The versions, newest last, separated by commas; '?' while the table is locked.
CREATE FUNCTION observer.versions(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found text;
BEGIN
    BEGIN
        EXECUTE query INTO found;
        RAISE SQLSTATE 'PGPWL';
    EXCEPTION
        WHEN SQLSTATE 'PGPWL' THEN NULL;
        WHEN undefined_table OR undefined_column OR invalid_schema_name THEN found := '';
        WHEN lock_not_available OR deadlock_detected THEN found := '?';
    END;
    RETURN coalesce(found, '');
END $$;

CREATE FUNCTION observer.look() RETURNS text LANGUAGE sql AS $$
    SELECT 'look:' || concat_ws('|',
        observer.versions('SELECT string_agg(version::text, '','') FROM public.schema_migrations'),
        observer.versions('SELECT string_agg(g::text, '','') FROM generate_series(1, (
            SELECT max(version - dirty::int) FROM tool.schema_migrations)) g'),
        observer.versions('SELECT string_agg(version::text, '','') FROM public.__diesel_schema_migrations'))
$$;

-- Everything that a program can leave behind, but for sequences: both roads must leave the same.
CREATE FUNCTION observer.contents() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text := '';
    rows text;
    name text;
    columns text;
BEGIN
    FOR name, columns IN
        SELECT c.oid::regclass::text, CASE c.relkind WHEN 'S' THEN '(last_value, is_called)' ELSE 'r' END FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'S') AND n.nspname IN ('public', 'tool', 'app') ORDER BY 1
    LOOP
        EXECUTE format('SELECT string_agg(%1$s::text, '' '' ORDER BY %1$s::text) FROM %2$s r', columns, name)
        INTO rows;
        found := found || name || ': ' || coalesce(rows, 'empty') || E'\n';
    END LOOP;
    RETURN found;
END $$;

-- Which tables, views and columns there are: rows are made anew more quickly than these.
CREATE FUNCTION observer.schema() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', c.oid, c.relnamespace, c.relname, c.relnatts), ',' ORDER BY c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('public', 'tool', 'app')
$$;
