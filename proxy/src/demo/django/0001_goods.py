"""Goods have a name."""
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Good",
            [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())],
        )
    ]
