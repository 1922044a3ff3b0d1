-- The rows that every program starts from, where none changed more than rows.
SET LOCAL lock_timeout = '10s';
DELETE FROM public.schema_migrations;
INSERT INTO public.schema_migrations VALUES ('1'), ('2'), ('3');
DELETE FROM tool.schema_migrations;
INSERT INTO tool.schema_migrations VALUES (3, false);
DELETE FROM public.__diesel_schema_migrations;
INSERT INTO public.__diesel_schema_migrations VALUES ('1'), ('2'), ('3');
DELETE FROM app.ruled;
DELETE FROM app.lever;
DELETE FROM app.late_lever;
DELETE FROM app.children;
DELETE FROM app.notes;
INSERT INTO app.notes VALUES (1, 'one'), (2, 'two');
SELECT setval('app.notes_id_seq', 2), setval('app.tick', 1);
