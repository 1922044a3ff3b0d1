-- Recorded from `rails db:migrate` (Active Record 6.1); parameters written out.
CREATE TABLE "schema_migrations" ("version" character varying NOT NULL PRIMARY KEY);
BEGIN;
CREATE TABLE "as" ("id" bigserial primary key, "v" character varying);
INSERT INTO "schema_migrations" ("version") VALUES ('20230101000001') RETURNING "version";
COMMIT;
BEGIN;
CREATE TABLE "bs" ("id" bigserial primary key, "v" character varying);
INSERT INTO "schema_migrations" ("version") VALUES ('20230101000002') RETURNING "version";
COMMIT;
BEGIN;
ALTER TABLE "as" ADD "w" character varying;
INSERT INTO "schema_migrations" ("version") VALUES ('20230101000003') RETURNING "version";
COMMIT;
