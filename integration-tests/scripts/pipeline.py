"""libpq's pipeline mode: results in order, errors and aborted pipelines, several Syncs on their way."""

import logging

import psycopg
from psycopg import pq

from transcript import say, say_error

# Whether it warns that leaving an aborted pipeline failed too depends on how fast answers come.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)

conn = psycopg.connect("", autocommit=True)
conn.execute("CREATE TABLE items (id int PRIMARY KEY, name text)")
conn.execute("CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)")

with conn.pipeline() as pipeline:
    cursors = [conn.execute("INSERT INTO items VALUES (%s, %s) RETURNING id", (i, f"n{i}")) for i in range(20)]
    pipeline.sync()
    say("inserted", [cursor.fetchone() for cursor in cursors])

try:
    with conn.pipeline() as pipeline:
        first = conn.execute("INSERT INTO items VALUES (100, 'undone')")
        wrong = conn.execute("SELECT 1/0")
        never = conn.execute("INSERT INTO items VALUES (101, 'never')")
        pipeline.sync()
        after = conn.execute("SELECT 'after the sync'")
        say("after", after.fetchone())
except psycopg.Error as error:
    say_error("in the pipeline", error)
say("count", conn.execute("SELECT count(*) FROM items").fetchone())

with conn.pipeline():
    with conn.transaction():
        conn.execute("UPDATE items SET name = 'x' WHERE id = 1")
        conn.execute("INSERT INTO schema_migrations VALUES (1, false)")
    with conn.transaction():
        conn.execute("UPDATE schema_migrations SET version = 2")
say("versions", conn.execute("SELECT * FROM schema_migrations").fetchall())

# libpq itself: what was sent is only flushed, nothing is waited for until everything is sent.
pg = conn.pgconn
pg.enter_pipeline_mode()
pg.send_query_params(b"SELECT 1", None)
pg.pipeline_sync()
pg.send_prepare(b"s", b"SELECT $1::int + 1")
pg.send_query_prepared(b"s", [b"41"])
pg.send_describe_prepared(b"s")
pg.send_query_params(b"SELECT nonsense", None)
pg.send_query_params(b"SELECT 'skipped'", None)
pg.pipeline_sync()
pg.send_query_params(b"SELECT 'goes on'", None)
pg.send_flush_request()
pg.flush()
nothing = 0
seen = 0
while seen < 3:
    result = pg.get_result()
    if result is None:
        nothing += 1
        if seen == 2 and nothing > 6:
            break
        continue
    status = pq.ExecStatus(result.status).name
    say(status, result.command_status, [result.get_value(i, 0) for i in range(result.ntuples)], result.error_field(pq.DiagnosticField.SQLSTATE))
    if result.status == pq.ExecStatus.PIPELINE_SYNC:
        seen += 1
    if result.ntuples and result.get_value(0, 0) == b"goes on":
        break
pg.pipeline_sync()
while (result := pg.get_result()) is None or result.status != pq.ExecStatus.PIPELINE_SYNC:
    pass
pg.exit_pipeline_mode()
say("usable", conn.execute("SELECT 'usable'").fetchone())
conn.close()
