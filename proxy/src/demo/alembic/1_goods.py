"""Goods have a name."""
from alembic import op

revision = "8d3f1c5a90b2"
down_revision = None


def upgrade():
    op.execute("CREATE TABLE goods (id bigint PRIMARY KEY, name text)")


def downgrade():
    op.execute("DROP TABLE goods")
