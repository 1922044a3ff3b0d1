-- Recorded from `rails db:rollback` (Active Record 6.1); parameters written out.
BEGIN;
ALTER TABLE "as" DROP COLUMN "w";
DELETE FROM "schema_migrations" WHERE "schema_migrations"."version" = '20230101000003';
COMMIT;
