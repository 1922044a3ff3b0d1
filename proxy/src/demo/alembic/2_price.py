"""Goods have a price."""
from alembic import op

revision = "27ab9e64d1f0"
down_revision = "8d3f1c5a90b2"


def upgrade():
    op.execute("ALTER TABLE goods ADD COLUMN price numeric")


def downgrade():
    op.execute("ALTER TABLE goods DROP COLUMN price")
