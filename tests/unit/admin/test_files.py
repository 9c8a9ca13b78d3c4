"""Policy files as the admin process reads them: tenants, checked against upstreams."""

import logging
import os

import pytest

from penstock.admin.files import Files
from penstock.errors import Refusal
from penstock.experiment.policy import ExperimentPolicy
from penstock.tenants.policy import TenantsPolicy
from penstock.upstream.policy import UpstreamsPolicy

GOOD = "tenants: {acme: {limits: [{unit: tokens, window: day, limit: 5}]}}\n"
OTHER = "tenants: {acme: {}, globex: {}}\n"
UPSTREAMS = 'default: a\nupstreams: {a: {url: "http://127.0.0.1:9/v1", auth: {style: none}}}\n'


def files(folder):
    return Files(folder, TenantsPolicy, [UpstreamsPolicy])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tenants.yaml").write_text(GOOD)
    (tmp_path / "upstreams.yaml").write_text(UPSTREAMS)
    (tmp_path / "cache.yaml").write_text("this: is another's\n")
    return tmp_path


@pytest.fixture
def tenants(folder):
    return files(folder)


def write(folder, text, name="tenants.yaml"):
    """Write a file as editors do, so that even one of the same size is a new one."""
    draft = folder / "draft"
    draft.write_text(text)
    os.replace(draft, folder / name)


def test_they_are_read(tenants):
    assert tenants.now().tenant("acme").limits[0].limit == 5


def test_they_are_read_again_only_when_they_change(tenants, folder):
    first = tenants.now()
    assert tenants.now() is first
    write(folder, OTHER)
    assert set(tenants.now().tenants) == {"acme", "globex"}
    write(folder, GOOD.replace("5", "6"))
    assert tenants.now().tenant("acme").limits[0].limit == 6


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tenants: {acme: {limit: 5}}\n", "did you mean 'limits'?"),
        ("tenants: {acme: {timezone: Europe/Berln}}\n", "Europe/Berln"),
        ("tenants: [\n", "tenants.yaml"),
    ],
)
def test_a_bad_change_leaves_the_old_ones(tenants, folder, caplog, text, told):
    old = tenants.now()
    write(folder, text)
    assert tenants.now() is old
    assert told in caplog.text
    assert len(caplog.records) == 1
    tenants.now()
    assert len(caplog.records) == 1
    write(folder, OTHER)
    assert "globex" in tenants.now().tenants


def test_a_file_that_vanishes_leaves_the_old_ones(tenants, folder, caplog):
    old = tenants.now()
    (folder / "tenants.yaml").unlink()
    assert tenants.now() is old
    assert "the file is gone" in caplog.text


def test_upstreams_that_want_clients_keys_are_no_good_here(tenants, folder, caplog):
    old = tenants.now()
    write(folder, UPSTREAMS.replace("{style: none}", "{style: bearer, key: client}"), "upstreams.yaml")
    assert tenants.now() is old
    assert "clients' keys" in caplog.text


def test_without_ever_a_good_one_there_is_no_answer(folder, caplog):
    caplog.set_level(logging.ERROR)
    write(folder, "tenants: 5\n")
    with pytest.raises(Refusal) as refused:
        files(folder).now()
    assert (refused.value.status, refused.value.code) == (503, "policies_unreadable")
    assert "tenants.yaml" in caplog.text
    assert "tenants.yaml" not in refused.value.message


def test_a_folder_without_tenants_is_open(tmp_path):
    assert files(tmp_path).now().open


def test_a_file_alone_is_looked_at_for_its_form_only(tmp_path, caplog):
    arms = "arms: {a: {}, b: {set: {cash: {ttl_s: 1}}}}"
    (tmp_path / "experiment.yaml").write_text(f"experiments: {{e: {{{arms}}}}}\n")
    experiments = Files(tmp_path, ExperimentPolicy)
    good = experiments.now()
    assert list(good.experiments) == ["e"]  # whether there is a cash.yaml, the gateway knows
    write(tmp_path, "experiments: {e: {arms: {a: {}}}}\n", "experiment.yaml")
    assert experiments.now() is good
    assert "experiment.yaml" in caplog.text
