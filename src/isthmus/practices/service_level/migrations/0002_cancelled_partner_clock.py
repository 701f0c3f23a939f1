"""A partner's clock may be cancelled: the word is longer than the column was."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("service_level", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="slapartnerclock",
            name="state",
            field=models.CharField(blank=True, default="", max_length=9),
        ),
    ]
