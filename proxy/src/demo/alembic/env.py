"""Alembic's environment for the demo: whichever driver is installed."""
import os
from importlib.util import find_spec

from alembic import context
from sqlalchemy import create_engine

driver = next(name for name in ("psycopg2", "psycopg", "pg8000") if find_spec(name))
engine = create_engine(
    f"postgresql+{driver}://postgres@127.0.0.1:{os.environ['DEMO_PORT']}/{os.environ['DEMO_DATABASE']}"
)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
