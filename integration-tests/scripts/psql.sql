-- Everything that psql and libpq can see, in one script: run directly and through pgpawl, equal in the end.
\set VERBOSITY verbose
\set SHOW_CONTEXT always
\timing off
\conninfo
SELECT 1 AS one, 'two' AS two, NULL AS three;
CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL, price numeric(10,2));
INSERT INTO items (name, price) VALUES ('ink', 1.5), ('pen', 2.25), ('quill', 3) RETURNING *;
-- errors with their positions
SELECT nonsense FROM items;
SELECT id, FROM items;
   SELECT *
     FROM items
    WHERE nothing = 1;
INSERT INTO items (name) VALUES (NULL);
SELECT 1/0;
-- notices and warnings
DO $$ BEGIN RAISE NOTICE 'noted'; RAISE WARNING 'warned' USING DETAIL = 'a detail', HINT = 'a hint'; END $$;
CREATE TABLE IF NOT EXISTS items (id int);
COMMIT;
-- transactions and savepoints
BEGIN;
SAVEPOINT a;
INSERT INTO items (name) VALUES ('in a');
SELECT 1/0;
SELECT 'skipped';
ROLLBACK TO a;
RELEASE a;
COMMIT AND CHAIN;
SELECT count(*) FROM items;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SHOW transaction_isolation;
COMMIT;
-- several statements in one Query
SELECT 1\; SELECT 2\; SELECT 3;
BEGIN\; INSERT INTO items (name) VALUES ('in one')\; COMMIT\; SELECT count(*) FROM items;
SELECT 1\; SELECT 1/0\; SELECT 3;
\set AUTOCOMMIT off
UPDATE items SET price = price + 1;
ROLLBACK;
\set AUTOCOMMIT on
-- COPY
\copy items (name, price) FROM STDIN WITH (FORMAT csv)
"a, b",1
"c
d",2
\.
COPY (SELECT name, price FROM items ORDER BY name) TO STDOUT;
\copy (SELECT name FROM items ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)
COPY items (id) FROM STDIN;
nonsense
\.
-- cursors and FETCH_COUNT
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT i FROM generate_series(1, 10) AS i;
FETCH 3 FROM c;
MOVE 2 FROM c;
FETCH BACKWARD 1 FROM c;
CLOSE c;
COMMIT;
\set FETCH_COUNT 2
SELECT i, repeat('x', i) FROM generate_series(1, 5) AS i;
\unset FETCH_COUNT
-- prepared statements
PREPARE find (text) AS SELECT price FROM items WHERE name = $1;
EXECUTE find('pen');
EXECUTE find('nothing');
DEALLOCATE find;
EXECUTE find('pen');
-- describe without running
SELECT id, name, price FROM items \gdesc
SELECT 'first' AS a, 'second' AS b \gset
\echo :a :b
SELECT format('SELECT %s', i) FROM generate_series(1, 3) AS i \gexec
-- LISTEN and NOTIFY
LISTEN news;
NOTIFY news, 'a payload';
BEGIN;
NOTIFY news;
NOTIFY news, 'rolled back too';
ROLLBACK;
SELECT pg_notify('news', 'by a function');
UNLISTEN *;
-- large objects
\lo_import /etc/hostname
SELECT lo_create(4711);
BEGIN;
SELECT lowrite(lo_open(4711, 131072), 'large');
COMMIT;
SELECT convert_from(lo_get(4711), 'UTF8');
\lo_unlink 4711
-- settings and encodings
SET client_encoding = 'LATIN1';
SELECT 'e' || chr(233) AS latin;
RESET client_encoding;
SET datestyle = 'German';
SELECT date '2024-02-29';
SET search_path = nowhere;
SELECT count(*) FROM items;
RESET ALL;
SET application_name = 'renamed';
SHOW application_name;
SET standard_conforming_strings = off;
SELECT 'a\'b';
RESET standard_conforming_strings;
-- functions, triggers, rules
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% %', TG_OP, NEW.name; RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO items (name) VALUES ('loud');
CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO items (name) VALUES ('s1'); COMMIT; INSERT INTO items (name) VALUES ('s2'); ROLLBACK; END $$;
CALL steps();
SELECT count(*) FROM items WHERE name LIKE 's_';
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE id = 1;
VACUUM items;
CREATE INDEX CONCURRENTLY items_name ON items (name);
\d items
\dt
\df shout
-- a version table that only goes up, and is read
CREATE TABLE schema_migrations (version varchar NOT NULL PRIMARY KEY);
INSERT INTO schema_migrations VALUES ('1');
BEGIN;
INSERT INTO schema_migrations VALUES ('2');
SELECT nonsense FROM schema_migrations;
ROLLBACK;
INSERT INTO schema_migrations VALUES ('2') RETURNING version;
INSERT INTO schema_migrations VALUES ('2');
   INSERT INTO schema_migrations
   VALUES ('3', 'too many');
BEGIN\; INSERT INTO schema_migrations VALUES ('3')\; COMMIT\; SELECT * FROM schema_migrations;
UPDATE schema_migrations SET version = version;
COPY schema_migrations FROM STDIN;
4
5
\.
SELECT * FROM schema_migrations ORDER BY 1;
DROP FUNCTION shout() CASCADE;
\q
