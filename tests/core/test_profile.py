"""`profiles.yml` as dbt reads it, without dbt."""

from __future__ import annotations

from pathlib import Path

import pytest

from planhat_dbt.errors import UsageError
from planhat_dbt.warehouse.profile import AdapterTarget, DuckDBTarget, Target, read_target

PROFILES = """
shop:
  target: "{{ env_var('SHOP_TARGET', 'dev') }}"
  outputs:
    dev: {type: duckdb, path: dev.duckdb, threads: 4, schema: main}
    prod:
      type: duckdb
      path: "{{ env_var('SHOP_PATH') }}"
      database: other
      extensions: [json, {name: httpfs, repo: core}]
      settings: {memory_limit: "it's 1GB"}
      config_options: {threads: 2}
      attach:
        - {path: "a'b.duckdb", alias: x}
        - {path: "s3://y.db", type: sqlite}
    memory: {type: duckdb, path: ":memory:"}
    default_memory: {type: duckdb}
    pg: {type: postgres, host: "{{ env_var('NOT_SET') }}"}
    ora: {type: oracle, host: "{{ env_var('NOT_SET') }}"}
    secrets: {type: duckdb, path: x.duckdb, secrets: [{type: s3}], plugins: [{module: excel}]}
    cloud: {type: duckdb, path: "md:shop"}
    numbered: {type: duckdb, path: n.duckdb, threads: "{{ env_var('THREADS', '4') | as_number }}"}
empty: {}
config: {send_anonymous_usage_stats: false}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "profiles.yml").write_text(PROFILES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def read(folder: Path, target: str | None = None, profile: str = "shop", **environ: str) -> Target:
    return read_target(profile, folder, environ, target=target)


def test_the_profiles_own_target(folder):
    expected = DuckDBTarget("dev", str(folder / "dev.duckdb"), "dev", default="dev", written="dev.duckdb")
    assert read(folder) == expected


@pytest.mark.parametrize(
    ("target", "environ", "expected"),
    [(None, {"SHOP_TARGET": "numbered"}, "numbered"), (None, {"DBT_TARGET": "numbered"}, "numbered"),
     ("dev", {"DBT_TARGET": "numbered", "SHOP_TARGET": "prod"}, "dev")],
)  # fmt: skip
def test_which_target(folder, target, environ, expected):
    assert read(folder, target, **environ).name == expected


def test_everything_a_plain_target_may_say(folder):
    found = read(folder, "prod", SHOP_PATH="/data/prod.duckdb")
    assert found == DuckDBTarget(
        name="prod",
        path="/data/prod.duckdb",
        written="/data/prod.duckdb",
        database="other",
        default="dev",
        settings=(("threads", 2),),
        setup=(
            "load json",
            "load httpfs",
            "set memory_limit = 'it''s 1GB'",
            "attach if not exists 'a''b.duckdb' as \"x\" (read_only)",
            "attach if not exists 's3://y.db' (type sqlite, read_only)",
        ),
    )


def test_a_remote_database_is_no_file(folder):
    found = read(folder, "cloud")
    assert (found.path, found.remote) == ("md:shop", True)
    assert not read(folder, "dev").remote


@pytest.mark.parametrize(
    ("target", "profile", "message"),
    [
        ("nope", "shop", "no target 'nope' .it has: cloud, default_memory, dev, memory"),
        (None, "nope", "no profile 'nope' .it has: empty, shop"),
        (None, "empty", "Profile 'empty' in .* has no `outputs`"),
        ("prod", "shop", "needs the environment variable SHOP_PATH"),
        ("memory", "shop", "in memory"),
        ("default_memory", "shop", "in memory"),
        ("secrets", "shop", "uses plugins, secrets"),
        ("pg", "shop", "needs the environment variable NOT_SET"),
    ],
)
def test_what_cannot_be_opened_is_told(folder, target, profile, message):
    with pytest.raises(UsageError, match=message) as caught:
        read(folder, target, profile)
    assert caught.value.hint


def test_another_adapter_is_named(folder):
    with pytest.raises(UsageError, match="'oracle'"):
        read(folder, "ora", NOT_SET="x")


def test_a_target_of_an_adapter_keeps_what_the_profile_says(folder):
    found = read(folder, "pg", NOT_SET="db.example.com")
    assert isinstance(found, AdapterTarget)
    assert (found.name, found.type, found.output["host"]) == ("pg", "postgres", "db.example.com")
    assert "db.example.com" not in repr(found)


def test_where_profiles_are_looked_for(folder, tmp_path, monkeypatch):
    other = tmp_path / "profiles"
    other.mkdir()
    (other / "profiles.yml").write_text(
        "shop: {target: t, outputs: {t: {type: duckdb, path: /x/other.duckdb}}}"
    )
    assert read_target("shop", folder, {}, profiles_dir=other).name == "t"
    assert read_target("shop", folder, {"DBT_PROFILES_DIR": str(other)}).name == "t"
    assert read_target("shop", folder, {"DBT_PROFILES_DIR": str(other)}, profiles_dir=folder).name == "dev"
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert read_target("shop", folder, {}).name == "dev", "beside dbt_project.yml"
    home = tmp_path / "home" / ".dbt"
    home.mkdir(parents=True)
    (home / "profiles.yml").write_text("shop: {target: h, outputs: {h: {type: duckdb, path: /x/h.duckdb}}}")
    assert read_target("shop", empty, {}).name == "h"
    engine = {"DBT_ENGINE_PROFILES_DIR": str(other), "DBT_PROFILES_DIR": str(folder)}
    assert read_target("shop", folder, engine).name == "t"
    environ = {"DBT_PROFILES_DIR": str(folder)}
    assert read_target("shop", folder, environ, built_with=other).name == "t", (
        "what dbt built is what is read"
    )
    assert read_target("shop", folder, environ, built_with=other, profiles_dir=folder).name == "dev"
    assert read_target("shop", folder, environ, built_with=tmp_path / "gone").name == "dev", (
        "of another machine"
    )
    with pytest.raises(UsageError, match=r"No profiles.yml in .*profiles_none"):
        read_target("shop", folder, {}, profiles_dir=tmp_path / "profiles_none")


@pytest.mark.parametrize("text", ["- a", "shop: [", "\x00", "shop: {target: '{{ env_var( }}', outputs: {}}"])
def test_a_broken_file_is_named(folder, text):
    (folder / "profiles.yml").write_text(text)
    with pytest.raises(UsageError, match=r"profiles\.yml"):
        read(folder)


def test_an_attached_file_is_from_here_or_from_the_project(folder, monkeypatch):
    (folder / "models").mkdir()
    (folder / "a'b.duckdb").touch()
    monkeypatch.chdir(folder / "models")
    found = read(folder, "prod", SHOP_PATH="/x/p.duckdb")
    assert found.setup[-2:] == (
        f"attach if not exists '{folder}/a''b.duckdb' as \"x\" (read_only)",
        "attach if not exists 's3://y.db' (type sqlite, read_only)",
    )


def test_a_relative_path_is_from_here_or_from_the_project(folder, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert read(folder).path == str(elsewhere / "dev.duckdb"), "as dbt opens it"
    (folder / "dev.duckdb").touch()
    assert read(folder).path == str(folder / "dev.duckdb"), "where dbt made it"
