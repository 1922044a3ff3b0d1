-- The world of a program, made anew: three guarded tables, roads to them that don't name them, other tables.
SET LOCAL lock_timeout = '10s';
DROP SCHEMA IF EXISTS public, tool, app CASCADE;
CREATE SCHEMA public AUTHORIZATION owner;
CREATE SCHEMA tool AUTHORIZATION owner;
CREATE SCHEMA app AUTHORIZATION owner;
SET ROLE owner;

CREATE TABLE public.schema_migrations (version text PRIMARY KEY);
CREATE TABLE tool.schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);
CREATE TABLE public.__diesel_schema_migrations
    (version text PRIMARY KEY, run_on timestamp NOT NULL DEFAULT '2020-01-01');

CREATE VIEW app.rails AS SELECT * FROM public.schema_migrations;
CREATE VIEW app.golang AS SELECT * FROM tool.schema_migrations;
CREATE VIEW app.diesel AS SELECT * FROM public.__diesel_schema_migrations;

-- Statements in hexadecimal digits: a text that calls this shows nothing.
CREATE FUNCTION app.run(code text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE convert_from(decode(code, 'hex'), 'UTF8');
    RETURN 1;
END $$;
CREATE FUNCTION app.pull() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM app.run(new.code);
    RETURN NULL;
END $$;
CREATE TABLE app.lever (code text);
CREATE TRIGGER pull AFTER INSERT ON app.lever FOR EACH ROW EXECUTE FUNCTION app.pull();
CREATE TABLE app.late_lever (code text);
CREATE CONSTRAINT TRIGGER pull AFTER INSERT ON app.late_lever
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.pull();

-- An aggregate in the SELECT itself would make a row also where the rule does not apply.
CREATE TABLE app.ruled (history text, change text);
CREATE RULE rails_raise AS ON INSERT TO app.ruled WHERE new.history = 'rails' AND new.change = 'raise' DO ALSO
    INSERT INTO public.schema_migrations
    SELECT (newest + 1)::text FROM (SELECT max(version::int) AS newest FROM public.schema_migrations) m;
CREATE RULE rails_lower AS ON INSERT TO app.ruled WHERE new.history = 'rails' AND new.change = 'lower' DO ALSO
    DELETE FROM public.schema_migrations
    WHERE version::int = (SELECT max(version::int) FROM public.schema_migrations);
CREATE RULE golang_raise AS ON INSERT TO app.ruled WHERE new.history = 'golang' AND new.change = 'raise' DO ALSO
    UPDATE tool.schema_migrations SET version = version + 1, dirty = false;
CREATE RULE golang_lower AS ON INSERT TO app.ruled WHERE new.history = 'golang' AND new.change = 'lower' DO ALSO
    UPDATE tool.schema_migrations SET version = version - 1;
CREATE RULE diesel_raise AS ON INSERT TO app.ruled WHERE new.history = 'diesel' AND new.change = 'raise' DO ALSO
    INSERT INTO public.__diesel_schema_migrations
    SELECT (newest + 1)::text FROM (SELECT max(version::int) AS newest FROM public.__diesel_schema_migrations) m;
CREATE RULE diesel_lower AS ON INSERT TO app.ruled WHERE new.history = 'diesel' AND new.change = 'lower' DO ALSO
    DELETE FROM public.__diesel_schema_migrations
    WHERE version::int = (SELECT max(version::int) FROM public.__diesel_schema_migrations);

-- A SELECT from one of these seems to write nothing.
CREATE FUNCTION app.rule(history text, change text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO app.ruled VALUES (%L, %L)', history, change);
    RETURN 1;
END $$;
CREATE VIEW app.rails_raise AS SELECT app.rule('rails', 'raise');
CREATE VIEW app.rails_lower AS SELECT app.rule('rails', 'lower');
CREATE VIEW app.golang_raise AS SELECT app.rule('golang', 'raise');
CREATE VIEW app.golang_lower AS SELECT app.rule('golang', 'lower');
CREATE VIEW app.diesel_raise AS SELECT app.rule('diesel', 'raise');
CREATE VIEW app.diesel_lower AS SELECT app.rule('diesel', 'lower');

CREATE TABLE app.notes (id serial PRIMARY KEY, text text);
CREATE TABLE app.children (note int REFERENCES app.notes DEFERRABLE INITIALLY DEFERRED);
CREATE SEQUENCE app.tick;
