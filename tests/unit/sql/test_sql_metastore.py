"""The metastore's settings: the password in a file of one's own, a wrong address refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from musicbox_lib.errors import UsageError
from musicbox_lib.settings import settings
from musicbox_lib.sql.server_metastore import metastore_conf

ADDRESS = "jdbc:postgresql://127.0.0.1:5432/metastore"


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    """Set a MUSICBOX_ variable; jars are made up."""

    def put(name: str, value: str) -> None:
        monkeypatch.setenv(f"MUSICBOX_{name}", value)
        settings.cache_clear()

    jars = tmp_path / "jars"
    jars.mkdir()
    (jars / "io.delta_delta-spark_4.2_2.13-4.4.0.jar").touch()
    put("JARS", str(jars))
    yield put
    settings.cache_clear()


def test_without_a_metastore_the_catalogue_stays_in_memory(setting: Callable[[str, str], None], tmp_path: Path) -> None:
    assert metastore_conf(tmp_path) == {}


def test_the_password_stands_in_a_file_of_this_user_only(setting: Callable[[str, str], None], tmp_path: Path) -> None:
    driver = tmp_path / "jars" / "metastore"
    driver.mkdir()
    (driver / "org.postgresql_postgresql-42.7.10.jar").touch()
    setting("METASTORE", ADDRESS)
    setting("SQL_WAREHOUSE", "/warehouse")
    setting("METASTORE_PASSWORD", "a<b&c")
    conf = metastore_conf(tmp_path)
    assert conf["spark.sql.catalogImplementation"] == "hive"
    # What is in the conf comes to stand on the JVM's command line.
    assert "a<b&c" not in str(conf)
    folder = Path(conf["spark.driver.extraClassPath"].split(":")[-1])
    site = folder / "hive-site.xml"
    assert (folder.stat().st_mode & 0o777, site.stat().st_mode & 0o777) == (0o700, 0o600)
    said = {found.findtext("name"): found.findtext("value") for found in ElementTree.parse(site).iter("property")}
    assert said["javax.jdo.option.ConnectionURL"] == ADDRESS
    assert said["javax.jdo.option.ConnectionPassword"] == "a<b&c"
    assert "org.apache.hadoop.hive.metastore.model.MTable" in str(said["datanucleus.autoStartClassNames"]).split(",")


@pytest.mark.parametrize(
    ("address", "warehouse", "said"),
    [
        ("postgres://somewhere/metastore", "/warehouse", "write it as jdbc:postgresql://HOST:PORT/DATABASE"),
        (ADDRESS, "", "wants MUSICBOX_SQL_WAREHOUSE beside it"),
        (ADDRESS, "/warehouse", "run `.venv/bin/python -m musicbox_lib.sql.server_metastore` once"),
    ],
)
def test_a_metastore_that_cannot_be_used_is_refused(
    setting: Callable[[str, str], None], tmp_path: Path, address: str, warehouse: str, said: str
) -> None:
    setting("METASTORE", address)
    setting("SQL_WAREHOUSE", warehouse)
    with pytest.raises(UsageError, match=said) as refused:
        metastore_conf(tmp_path)
    assert "\n" not in str(refused.value)
