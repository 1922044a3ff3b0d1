"""What psycopg 3 does: prepared statements, binary parameters, COPY, cursors, notifications, errors."""

import psycopg

from transcript import say, say_error

conn = psycopg.connect("", autocommit=True)
conn.add_notice_handler(lambda diagnostic: say("notice", diagnostic.severity, diagnostic.message_primary))


def rows(sql, parameters=None, **options):
    try:
        cursor = conn.execute(sql, parameters, **options)
        say(sql, cursor.statusmessage, cursor.fetchall() if cursor.description else None)
    except psycopg.Error as error:
        say_error(sql, error)


rows("CREATE TABLE items (id int PRIMARY KEY, name text, data jsonb, at timestamptz)")
for i in range(8):
    # From the sixth time on psycopg prepares it.
    rows("INSERT INTO items VALUES (%s, %s, %s, '2024-01-01Z') RETURNING id", (i, f"n{i}", '{"a": [1, null]}'))
rows("SELECT * FROM items WHERE id = ANY(%s) ORDER BY id", ([1, 3, 5],), binary=True)
rows("SELECT %s::int8, %s::float8, %s::numeric, %b::bytea", (2**40, 0.5, 3, b"\x00\xff"))
rows("INSERT INTO items (id) VALUES (%s)", (1,))
rows("SELECT nonsense FROM items")
rows("DO $$ BEGIN RAISE NOTICE 'noted'; END $$")
rows("SELECT 1; SELECT 2")

try:
    with conn.transaction():
        rows("UPDATE items SET name = 'x' WHERE id = 1")
        with conn.transaction():
            rows("DELETE FROM items")
            raise psycopg.Rollback()
        with conn.transaction():
            rows("SELECT 1/0")
except psycopg.Error as error:
    say_error("the outer transaction", error)
rows("SELECT count(*) FROM items")

with conn.cursor() as cursor:
    with cursor.copy("COPY items (id, name) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "text"])
        for i in range(100, 103):
            copy.write_row((i, f"copied {i}"))
    say("copied", cursor.statusmessage)
    with cursor.copy("COPY (SELECT id, name FROM items WHERE id >= 100 ORDER BY id) TO STDOUT") as copy:
        say("copy out", [bytes(block) for block in copy])
    cursor.executemany("INSERT INTO items (id, name) VALUES (%s, %s)", [(i, "many") for i in range(200, 260)])
    say("executemany", cursor.rowcount)
    for row in cursor.stream("SELECT i FROM generate_series(1, 3) AS i"):
        say("streamed", row)

with conn.transaction(), conn.cursor(name="server side") as cursor:
    cursor.execute("SELECT i FROM generate_series(1, 5) AS i")
    say("fetched", cursor.fetchmany(2), cursor.fetchall())

rows("LISTEN news")
rows("SELECT pg_notify('news', 'payload')")
say("notified", [(n.channel, n.payload) for n in conn.notifies(timeout=10, stop_after=1)])

xid = conn.xid(1, "gtrid", "bqual")
conn.autocommit = False
conn.tpc_begin(xid)
rows("INSERT INTO items (id, name) VALUES (300, 'two-phase')")
conn.tpc_prepare()
conn.tpc_commit()
conn.autocommit = True

# A version table that goes up, by prepared statements and binary parameters.
rows("CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)")
for i in range(1, 9):
    with conn.transaction():
        rows("DELETE FROM schema_migrations")
        rows("INSERT INTO schema_migrations VALUES (%s, %s)", (i, False), binary=True)
rows("SELECT * FROM schema_migrations")
say("status", conn.info.transaction_status, conn.info.server_version, conn.info.encoding)
conn.close()
