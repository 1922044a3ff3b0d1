"""Goods are in stock."""
from alembic import op

revision = "c41e70b8a3d9"
down_revision = "27ab9e64d1f0"


def upgrade():
    op.execute("CREATE TABLE stock (good bigint REFERENCES goods, amount int)")


def downgrade():
    op.execute("DROP TABLE stock")
