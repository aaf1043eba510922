"""`planhat-dbt exposures` on a real dbt project: what it writes is dbt's, and nothing else stops working."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from harness import Project
from harness.dbt import needs, run_dbt

from planhat_dbt.sandbox import Sandbox

BIN = Path(sys.executable).parent
FILE = "models/planhat_exposures.yml"
STRICT = (
    "import dbt.jsonschemas.jsonschemas as j; j._JSONSCHEMA_SUPPORTED_ADAPTERS.add('duckdb'); "
    "from dbt.cli.main import cli; cli()"
)
"""dbt, with the check of schemas that it keeps for other adapters (1.11)."""
PROJECT = {
    "lib/dbt_project.yml": "name: lib\nversion: '1.0'\nprofile: shop\n",
    "lib/models/lib_users.sql": "select 'u-1' as id, 'c-1' as company, 'a@example.com' as email",
    "lib/models/lib_users.yml": """
models:
  - name: lib_users
    config:
      meta:
        planhat: {object: enduser, match: {externalId: id}, fields: {companyId: {company: company}, email: email}}
""",
    "packages.yml": "packages: [{local: lib}]\n",
    "models/companies_v1.sql": "select 'c-1' as id, 'Acme' as name",
    "models/companies_v2.sql": "select 'c-1' as id, 'Acme' as name, 'x' as phase",
    "models/assets.sql": "select 'a-1' as id, 'c-1' as company, 'A' as name from {{ ref('companies') }}",
    "models/hidden.sql": "select 's-1' as id, 'c-1' as company, 'S' as name",
    "seeds/campaigns.csv": "id,name,company\nk-1,Spring,c-1\n",
    "models/schema.yml": """
groups: [{name: crm, owner: {name: CRM}}]
models:
  - name: companies
    latest_version: 2
    versions:
      - v: 1
      - v: 2
        config:
          meta:
            planhat:
              object: company
              match: {externalId: id}
              fields:
                name: name
                phase: phase
                custom:
                  Template: {value: "{% raw %}Dear {{ name }}, {# no #}{% endraw %}"}
                  Level: {value: "007"}
                  "Überschrift: #1": {column: name}
  - name: assets
    config:
      meta:
        planhat: {object: asset, match: {externalId: id}, fields: {name: name, companyId: {company: company}}}
  - name: hidden
    config:
      access: private
      group: crm
      meta:
        planhat:
          {object: campaign, match: {sourceId: id}, fields: {name: name, companyId: {company: company}}}
seeds:
  - name: campaigns
    config:
      meta:
        planhat: {object: project, match: {externalId: id}, fields: {name: name, companyId: {company: company}}}
exposures:
  - name: assets_to_planhat
    type: dashboard
    owner: {name: Somebody}
    depends_on: [ref('assets')]
""",
}


class Shop:
    """The project, with dbt and our commands on it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.directory = project.directory
        for name, text in PROJECT.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.settings()

    def settings(self, **planhat: object) -> None:
        self.project.settings(**planhat)
        file = self.directory / "dbt_project.yml"
        document = yaml.safe_load(file.read_text(encoding="utf-8")) | {"model-paths": ["models"]}
        file.write_text(yaml.safe_dump(document), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.project.environment(),
            "DBT_PROFILES_DIR": str(self.directory),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=self.directory, env=self.environment, capture_output=True, text=True, check=False, timeout=150,
        )  # fmt: skip
        return self._said(done, code)

    def _said(self, done: subprocess.CompletedProcess[str], code: int) -> str:
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def dbt(self, *arguments: str, code: int = 0) -> str:
        done = run_dbt(*arguments, cwd=self.directory, env=self.environment)
        return self._said(done, code)

    def planhat(self, *arguments: str, code: int = 0) -> str:
        return self.run(str(BIN / "planhat-dbt"), *arguments, code=code)

    @property
    def text(self) -> str:
        return (self.directory / FILE).read_text(encoding="utf-8")

    @property
    def manifest(self) -> dict[str, dict[str, dict[str, object]]]:
        found: dict[str, dict[str, dict[str, object]]] = json.loads(
            (self.directory / "target" / "manifest.json").read_text(encoding="utf-8")
        )
        return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The project after a build and a first `exposures`."""
    with Sandbox() as sandbox:
        shop = Shop(Project(tmp_path_factory.mktemp("exposures") / "shop", sandbox, "duckdb"))
        shop.dbt("deps", "--quiet")
        shop.dbt("build", "--quiet")
        told = shop.planhat("exposures")
        assert f"{FILE}: 5 exposures written." in told
        assert "model hidden is private, and dbt lets no exposure depend on it" in told
        yield shop


@pytest.fixture
def shop(built: Shop, tmp_path: Path) -> Shop:
    """A copy of it, to be changed."""
    shutil.copytree(built.directory, tmp_path / "shop")
    copy = object.__new__(Shop)
    copy.project, copy.directory = built.project, tmp_path / "shop"
    return copy


def test_dbt_reads_it_without_a_complaint(shop: Shop) -> None:
    told = shop.dbt("parse", "--no-partial-parse")
    assert not re.search(
        "warning|deprecat", told.replace("version of dbt is deprecated", ""), re.IGNORECASE
    ), told
    found = {e["name"]: e for e in shop.manifest["exposures"].values()}
    depends = {name: e["depends_on"]["nodes"] for name, e in found.items()}  # type: ignore[index]
    assert depends == {
        "assets_to_planhat": ["model.shop.assets"],
        "assets_to_planhat_2": ["model.shop.assets"],  # the first is the user's own
        "campaigns_to_planhat": ["seed.shop.campaigns"],
        "companies_to_planhat": ["model.shop.companies.v2"],
        "hidden_to_planhat": [],
        "lib_users_to_planhat": ["model.lib.lib_users"],
    }
    companies = found["companies_to_planhat"]
    assert (companies["type"], companies["maturity"]) == ("application", "high")
    assert companies["owner"] == {"name": "shop", "email": None}
    meta = companies["config"]["meta"]["planhat"]  # type: ignore[index]
    assert meta == {
        "sync": "companies",
        "object": "company",
        "mode": "upsert",
        "match": {"column": "id", "field": "externalId"},
        "key": "id",
        "on_removed": "keep",
        "fields": [
            {"value": "007", "field": "custom.Level"},
            {"value": "Dear {{ name }}, {# no #}", "field": "custom.Template"},
            {"column": "name", "field": "custom.Überschrift: #1"},
            {"column": "name", "field": "name"},
            {"column": "phase", "field": "phase"},
        ],
    }


@pytest.mark.thorough
@needs(1, 11, why="checks schemas more strictly since")
def test_dbt_has_no_complaint_at_its_strictest(shop: Shop) -> None:
    told = shop.run(sys.executable, "-c", STRICT, "--show-all-deprecations", "parse", "--no-partial-parse")
    assert "eprecat" not in told, told
    bad = "exposures: [{name: bad, type: application, owner: {name: x}, meta: {planhat: {}}}]"
    (shop.directory / "models" / "bad.yml").write_text(bad, encoding="utf-8")
    told = shop.run(sys.executable, "-c", STRICT, "--show-all-deprecations", "parse", "--no-partial-parse")
    assert "PropertyMovedToConfigDeprecation" in told, "the check above could fail"


def test_a_second_write_changes_no_byte_and_everything_still_works(shop: Shop) -> None:
    before = (shop.directory / FILE).read_bytes()
    shop.dbt("build", "--quiet")
    assert "was up to date: 5 exposures." in shop.planhat("exposures")
    assert (shop.directory / FILE).read_bytes() == before
    assert "is up to date" in shop.planhat("exposures", "--check")
    names = shop.planhat("list", "--output", "name").split()
    assert names == ["companies", "lib_users", "campaigns", "assets", "hidden"]
    told = shop.planhat("sync")
    assert "5 rows sent" in told
    shop.dbt("docs", "generate", "--quiet")
    graph = json.loads((shop.directory / "target" / "manifest.json").read_text(encoding="utf-8"))[
        "parent_map"
    ]
    assert graph["exposure.shop.companies_to_planhat"] == ["model.shop.companies.v2"]
    upstream = shop.dbt(
        "ls", "--quiet", "--select", "+exposure:assets_to_planhat_2", "--resource-type", "model"
    )
    assert upstream.split() == ["shop.assets", "shop.companies.v2"]


def test_a_changed_declaration_fails_the_check_until_it_is_written(shop: Shop) -> None:
    schema = shop.directory / "models" / "schema.yml"
    text = schema.read_text(encoding="utf-8")
    schema.write_text(
        text.replace("phase: phase", "phase: phase\n                city: name"), encoding="utf-8"
    )
    told = shop.planhat("exposures", "--check")
    assert "dbt's manifest is older than models/schema.yml: run `dbt parse`" in told
    shop.dbt("parse", "--quiet")
    told = shop.planhat("exposures", "--check", code=1)
    assert "older" not in told
    assert "+        - column: name\n+          field: city" in told
    assert f"{FILE} is not up to date." in told
    assert "planhat-dbt exposures" in told
    assert "city" not in shop.text, "--check writes nothing"
    shop.planhat("exposures")
    shop.planhat("exposures", "--check")
    shop.dbt("parse", "--quiet")
    shop.planhat("exposures", "--check")


@pytest.mark.thorough
def test_the_order_of_a_mapping_changes_nothing(shop: Shop) -> None:
    schema = shop.directory / "models" / "schema.yml"
    document = yaml.safe_load(schema.read_text(encoding="utf-8"))
    custom = document["models"][0]["versions"][1]["config"]["meta"]["planhat"]["fields"]["custom"]
    custom["Range"] = {"value": {"to": 9, "from": ["{% raw %}{{ x }}{% endraw %}"]}}
    schema.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    shop.dbt("parse", "--quiet")
    shop.planhat("exposures")
    before = shop.text
    shop.dbt("parse", "--quiet")
    (companies,) = [e for n, e in shop.manifest["exposures"].items() if n.endswith("companies_to_planhat")]
    told = companies["config"]["meta"]["planhat"]["fields"]  # type: ignore[index]
    assert {"value": '{"from": ["{{ x }}"], "to": 9}', "field": "custom.Range"} in told
    document["models"].reverse()
    schema.write_text(yaml.safe_dump(document, sort_keys=True, allow_unicode=True), encoding="utf-8")
    shop.dbt("parse", "--quiet", "--no-partial-parse")  # dbt sees no change in the order of keys
    shop.planhat("exposures", "--check")
    (shop.directory / FILE).unlink()
    shop.planhat("exposures")
    assert shop.text == before


def test_what_is_no_file_of_dbts_is_not_written(shop: Shop) -> None:
    pipe = shop.directory / "models" / "pipe.yml"
    os.mkfifo(pipe)
    for path, word in (("models/pipe.yml", "is no file"), ("models/syncs.txt", ".yml and .yaml files alone")):
        for more in ((), ("--check",)):
            assert word in shop.planhat("exposures", "--path", path, *more, code=2)
    assert not (shop.directory / "models" / "syncs.txt").exists()


def test_a_file_of_somebody_else_is_left_alone(shop: Shop) -> None:
    file = shop.directory / FILE
    file.write_text("exposures: []\n", encoding="utf-8")
    for arguments in ((), ("--check",)):
        told = shop.planhat("exposures", *arguments, code=2)
        assert f"{FILE} was not written by `planhat-dbt exposures`; it was left as it is." in told
        assert "--path models/syncs.yml" in told
    assert file.read_text(encoding="utf-8") == "exposures: []\n"
    file.unlink()
    assert f"{FILE} does not exist." in shop.planhat("exposures", "--check", code=1)
    assert not file.exists()


def test_another_path_standard_output_and_a_selection(shop: Shop) -> None:
    assert "delete one of the files" not in shop.planhat("exposures", "--path", "models/crm.yml")
    (shop.directory / FILE).unlink()
    shop.dbt("parse", "--quiet")
    told = shop.planhat("exposures", "--path", "-", "--select", "object:company")
    document = yaml.safe_load(told[: told.index("Note:")])  # what is printed, then what is said
    assert [e["name"] for e in document["exposures"]] == ["companies_to_planhat"]
    assert document["exposures"][0]["depends_on"] == ["ref('companies', v=2)"]
    assert not (shop.directory / FILE).exists()
    told = shop.planhat("exposures")
    assert "models/crm.yml holds exposures of syncs, too" in told
    assert "in models alone; this file is elsewhere" in shop.planhat("exposures", "--path", "target/x.yml")
    assert "--check needs a file" in shop.planhat("exposures", "--path", "-", "--check", code=2)
    assert "cannot be written" in shop.planhat("exposures", "--path", "nowhere/x.yml", code=1)


@pytest.mark.thorough
def test_owner_maturity_and_addresses_are_settings(shop: Shop) -> None:
    shop.project.directory, before = shop.directory, shop.project.directory
    try:
        shop.settings(
            exposure_owner="CRM team",
            exposure_owner_email="crm@example.com",
            exposure_maturity="medium",
            exposure_urls={
                "companies": "https://app.planhat.com/companies",
                "default": "https://app.planhat.com",
            },
        )
        shop.planhat("exposures")
        found = {e["name"]: e for e in yaml.safe_load(shop.text)["exposures"]}
        assert found["companies_to_planhat"]["url"] == "https://app.planhat.com/companies"
        assert found["hidden_to_planhat"]["url"] == "https://app.planhat.com"
        assert found["hidden_to_planhat"]["owner"] == {"name": "CRM team", "email": "crm@example.com"}
        assert {e["maturity"] for e in found.values()} == {"medium"}
        shop.dbt("parse", "--quiet")
        shop.settings(exposure_maturity="hgih", exposure_urls={"company": "app.planhat.com"})
        told = shop.planhat("exposures", code=2)
        assert "vars.planhat.exposure_maturity" in told
        assert "vars.planhat.exposure_urls" in told
        shop.settings(exposure_urls={"compny": "https://app.planhat.com"})
        assert "found `compny`; did you mean `company`?" in shop.planhat("exposures", code=2)
    finally:
        shop.project.directory = before


@pytest.mark.thorough
def test_a_model_that_is_gone_stops_dbt_until_the_file_is_deleted(shop: Shop) -> None:
    """As docs/lineage.md tells it."""
    (shop.directory / "models" / "assets.sql").unlink()
    schema = shop.directory / "models" / "schema.yml"
    document = yaml.safe_load(schema.read_text(encoding="utf-8"))
    document["models"] = [m for m in document["models"] if m["name"] != "assets"]
    del document["exposures"]
    schema.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert "assets_to_planhat_2" in shop.dbt("parse", "--quiet", code=2)
    (shop.directory / FILE).unlink()
    shop.dbt("parse", "--quiet")
    assert "4 exposures written" in shop.planhat("exposures")
    shop.dbt("parse", "--quiet")
