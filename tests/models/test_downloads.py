"""Downloads over a real socket from a server that misbehaves."""

import hashlib
import json

import numpy as np
import pytest
import torch
from file_server import FileServer
from typer.testing import CliRunner

from backend.commands.app import app
from backend.models import download, sources
from backend.models.download import fetch
from backend.models.gpavatar import gpavatar_weights_path
from backend.models.sources import Licence, RemoteFile, Source, load_sources
from backend.protocol.errors import TurboPortraitError

CONTENT = np.random.default_rng(4).bytes(3 << 20)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    server = FileServer()
    server.files["weights.bin"] = CONTENT
    yield server
    server.close()


def source(server, **facts):
    file = RemoteFile(**{"path": "sub/weights.bin", "remote": "weights.bin", **facts})
    return Source("A model", "a page", server.base, Licence("L", "text", []), [file])


def refused(server, folder, code, **facts):
    with pytest.raises(TurboPortraitError) as caught:
        fetch(source(server, **facts), folder, lambda *_: None)
    assert caught.value.code == code
    assert not (folder / "sub" / "weights.bin").exists()
    return caught.value.sentence


@pytest.mark.parametrize("facts", [{"sha256": SHA256, "size": len(CONTENT)}, {"max_bytes": 4 << 20}], ids=["known", ""])
@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_arrives_whole_with_its_checksum_and_progress(server, tmp_path, facts, lengths):
    server.lengths, seen = lengths, []
    sums = fetch(source(server, **facts), tmp_path, lambda *each: seen.append(each))
    assert sums == {"sub/weights.bin": SHA256}
    assert (tmp_path / "sub" / "weights.bin").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["weights.bin"]
    done = [done for _, done, _ in seen]
    assert done == sorted(done)
    assert seen[-1] == ("sub/weights.bin", len(CONTENT), len(CONTENT) if lengths else None)


def test_a_cut_connection_is_gone_on_with_where_it_stopped(server, tmp_path):
    server.cut_after = [1_000_000, 500_000]
    fetch(source(server, sha256=SHA256, max_bytes=4 << 20), tmp_path, lambda *_: None)
    assert (tmp_path / "sub" / "weights.bin").read_bytes() == CONTENT
    starts = [int(asked.removeprefix("bytes=").rstrip("-") or 0) for _, asked in server.requests]
    assert len(starts) == 3
    assert starts == sorted(starts)
    assert starts[2] > starts[1] > 0


def test_a_later_call_goes_on_too(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.cut_after = [1_500_000]
    said = refused(server, tmp_path, "download_failed", sha256=SHA256, max_bytes=4 << 20)
    assert "weights.bin" in said
    fetch(source(server, sha256=SHA256, max_bytes=4 << 20), tmp_path, lambda *_: None)
    assert server.requests[1][1].startswith("bytes=")
    # What is there and right is not asked for again.
    fetch(source(server, sha256=SHA256, max_bytes=4 << 20), tmp_path, lambda *_: None)
    assert len(server.requests) == 2


def test_a_server_without_ranges_begins_anew(server, tmp_path):
    server.ranges, server.cut_after = False, [1_000_000]
    fetch(source(server, sha256=SHA256, max_bytes=4 << 20), tmp_path, lambda *_: None)
    assert (tmp_path / "sub" / "weights.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("tags", [True, False])
def test_two_states_of_a_file_are_never_mixed(server, tmp_path, monkeypatch, tags):
    """No checksum is known: without the server's tag nothing tells the states apart, so it begins anew."""
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.tags, server.cut_after = tags, [1_000_000]
    refused(server, tmp_path, "download_failed", max_bytes=4 << 20)
    server.files["weights.bin"] = newer = CONTENT[::-1]
    sums = fetch(source(server, max_bytes=4 << 20), tmp_path, lambda *_: None)
    assert sums["sub/weights.bin"] == hashlib.sha256(newer).hexdigest()


def test_a_part_that_is_whole_already_is_taken(server, tmp_path):
    part = tmp_path / "sub" / "weights.bin.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT)
    fetch(source(server, sha256=SHA256, max_bytes=4 << 20), tmp_path, lambda *_: None)
    assert server.requests == [("weights.bin", f"bytes={len(CONTENT)}-")]
    assert not part.exists()


@pytest.mark.parametrize("name", ["sha256", "md5"])
def test_wrong_bytes_are_thrown_away(server, tmp_path, name):
    server.files["weights.bin"] = CONTENT[:-1] + b"x"
    said = refused(
        server, tmp_path, "download_damaged", **{name: hashlib.new(name, CONTENT).hexdigest()}, max_bytes=4 << 20
    )
    assert name in said
    assert not list((tmp_path / "sub").iterdir())


def test_a_file_that_is_wrong_on_the_disk_is_fetched_again(server, tmp_path):
    path = tmp_path / "sub" / "weights.bin"
    path.parent.mkdir()
    path.write_bytes(b"something else")
    fetch(source(server, sha256=SHA256, max_bytes=4 << 20), tmp_path, lambda *_: None)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("facts", [{"size": 1000}, {"max_bytes": 1_500_000}])
def test_more_than_announced_is_not_taken(server, tmp_path, lengths, facts):
    server.lengths = lengths
    refused(server, tmp_path, "download_refused", **facts)
    assert not list((tmp_path / "sub").iterdir())


def test_what_the_server_does_not_have_is_said_at_once(server, tmp_path):
    assert "404" in refused(server, tmp_path, "download_refused", remote="nothing.bin")
    assert len(server.requests) == 1
    server.content_type = "text/html; charset=utf-8"
    assert "web page" in refused(server, tmp_path, "download_refused", max_bytes=4 << 20)


def test_a_busy_server_is_asked_again_but_not_for_ever(server, tmp_path):
    server.status["weights.bin"] = [503, 429]
    fetch(source(server, sha256=SHA256, max_bytes=4 << 20), tmp_path, lambda *_: None)
    assert len(server.requests) == 3
    server.status["other.bin"] = [503] * 50
    refused(server, tmp_path / "2", "download_failed", remote="other.bin")
    assert len(server.requests) == 3 + download.ATTEMPTS


def test_redirects_are_followed(server, tmp_path):
    server.redirect["weights.bin"] = "/elsewhere.bin"
    server.files["elsewhere.bin"] = server.files.pop("weights.bin")
    server.cut_after = [1_000_000]
    fetch(source(server, sha256=SHA256, max_bytes=4 << 20), tmp_path, lambda *_: None)
    assert (tmp_path / "sub" / "weights.bin").read_bytes() == CONTENT


def test_a_server_that_is_gone_is_said(server, tmp_path):
    base = source(server)
    server.close()
    with pytest.raises(TurboPortraitError) as caught:
        fetch(base, tmp_path, lambda *_: None)
    assert caught.value.code == "download_failed"
    server.__init__()  # for the fixture's close


def test_a_full_disk_is_said_before_anything_is_written(server, tmp_path, monkeypatch):
    usage = download.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    refused(server, tmp_path, "disk_full", max_bytes=4 << 20)


def test_the_shipped_sources_are_whole():
    for name, each in load_sources().items():
        assert each.base.startswith("https://"), name
        assert each.licence.text
        assert each.licence.links
        for file in each.files:
            assert ".." not in file.path
            assert len(file.sha256 or "0" * 64) == 64
            assert len(file.md5 or "0" * 32) == 32
            assert not file.path.endswith(".safetensors") or file.sha256


def test_a_mirror_of_the_hub_takes_its_place(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example/hub/")
    found = load_sources()
    each = found["sd-turbo"]
    assert each.address(each.files[0]).startswith("http://mirror.example/hub/stabilityai/sd-turbo/resolve/")
    assert found["gpavatar"].address(found["gpavatar"].files[0]).endswith("/v1.0.0/one_model.ckpt")


@pytest.fixture
def published(server, tmp_path, monkeypatch):
    """A small checkpoint in GPAvatar's place, published on the test's server without a checksum."""
    from backend.models import gpavatar

    monkeypatch.setattr(gpavatar, "expected_shapes", lambda: {"a": (3,)})
    path = tmp_path / "published.ckpt"
    torch.save({"state_dict": {"a": torch.ones(3)}}, path)
    server.files["one_model.ckpt"] = path.read_bytes()
    table = json.loads(sources.SOURCES_PATH.read_text())
    table["gpavatar"] |= {"base": server.base, "files": [{"path": "one_model.ckpt", "max_bytes": 1 << 20}]}
    (tmp_path / "sources.json").write_text(json.dumps(table))
    monkeypatch.setattr(sources, "SOURCES_PATH", tmp_path / "sources.json")
    return server


@pytest.mark.parametrize("answer", ["n\n", "", "y\n"])
def test_nothing_is_fetched_before_the_licence_is_agreed_to(published, models, answer):
    run = CliRunner().invoke(app, ["models", "add", "gpavatar", "--download"], input=answer)
    assert "MIT" in run.output
    if answer == "y\n":
        assert run.exit_code == 0, run.output
        assert gpavatar_weights_path().is_file()
    else:
        assert run.exception.code == "licence_not_agreed"
        assert not published.requests
        assert not models.exists()


def test_a_download_by_command_says_what_it_trusted_and_tidies_up(published, models):
    run = CliRunner().invoke(app, ["models", "add", "gpavatar", "--download", "--accept-licence"])
    assert run.exit_code == 0, run.output
    assert hashlib.sha256(published.files["one_model.ckpt"]).hexdigest() in run.output.replace("\n", "")
    assert sorted(path.name for path in (models / "gpavatar").iterdir()) == ["installed.json", "model.safetensors"]
    assert not list((models / ".downloads").iterdir())
