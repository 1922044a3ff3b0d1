"""Goods have a price."""
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_goods")]
    operations = [migrations.AddField("Good", "price", models.IntegerField(null=True))]
