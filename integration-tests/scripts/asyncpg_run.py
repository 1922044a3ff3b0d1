"""What asyncpg does: Flush in place of Sync, binary everything, COPY, cursors, pools with their RESET ALL."""

import asyncio
import os

import asyncpg

from transcript import say, say_error


async def main():
    conn = await asyncpg.connect()
    conn.add_log_listener(lambda _, message: say("notice", message.message))
    await conn.execute("CREATE TABLE items (id int PRIMARY KEY, name text, tags text[]); CREATE TABLE other (id int)")
    for i in range(4):
        say("insert", await conn.execute("INSERT INTO items VALUES ($1, $2, $3)", i, f"n{i}", ["a", None]))
    say("fetch", [tuple(row) for row in await conn.fetch("SELECT * FROM items WHERE id > $1 ORDER BY id", 1)])
    say("value", await conn.fetchval("SELECT $1::numeric + 1", 2))
    await conn.executemany("INSERT INTO other VALUES ($1)", [(i,) for i in range(50)])
    say("count", await conn.fetchval("SELECT count(*) FROM other"))
    for sql, *arguments in [
        ("SELECT nonsense",),
        ("INSERT INTO items (id) VALUES ($1)", 1),
        ("SELECT 1/$1::int", 0),
        ("SELECT $1::int",),
    ]:
        try:
            await conn.fetch(sql, *arguments)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            say_error(sql, error)
    statement = await conn.prepare("SELECT name FROM items WHERE id = $1")
    say("prepared", [await statement.fetchval(i) for i in range(3)], statement.get_attributes()[0].name)
    async with conn.transaction():
        try:
            async with conn.transaction():
                await conn.execute("DELETE FROM items")
                raise ValueError
        except ValueError:
            pass
        say("in the transaction", await conn.fetchval("SELECT count(*) FROM items"))
        say("cursor", [row["id"] async for row in conn.cursor("SELECT id FROM items ORDER BY id", prefetch=2)])
    await conn.execute("DO $$ BEGIN RAISE NOTICE 'noted'; END $$")
    say("copy in", await conn.copy_records_to_table("items", records=[(10, "ten", []), (11, "eleven", ["x"])]))
    with open(os.devnull, "wb") as nowhere:
        say("copy out", await conn.copy_from_query("SELECT * FROM items", output=nowhere, format="csv"))

    heard = asyncio.Queue()
    await conn.add_listener("news", lambda _, __, channel, payload: heard.put_nowait((channel, payload)))
    await conn.execute("NOTIFY news, 'payload'")
    say("notified", await asyncio.wait_for(heard.get(), 10))

    # A version table that goes up, by named statements with binary parameters.
    await conn.execute("CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)")
    await conn.execute("INSERT INTO schema_migrations VALUES (1, false)")
    for i in range(2, 6):
        async with conn.transaction():
            await conn.execute("UPDATE schema_migrations SET version = $1, dirty = $2", i, False)
    say("version", await conn.fetchval("SELECT version FROM schema_migrations"))
    await conn.close()

    async with asyncpg.create_pool(min_size=2, max_size=2) as pool:
        say("pool", sorted(await asyncio.gather(*[pool.fetchval("SELECT $1::int", i) for i in range(10)])))
        async with pool.acquire() as held:
            try:
                await held.execute("SELECT pg_sleep(60)", timeout=0.2)
            except asyncio.TimeoutError:
                say("timed out and cancelled", await held.fetchval("SELECT 'usable'"))


asyncio.run(main())
