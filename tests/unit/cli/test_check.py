def test_the_shipped_policies_are_good(run):
    told = run("check")
    assert (told.code, told.err) == (0, "")
    assert told.out == "12 policies are good; 9 of 9 cases pass\n"


def test_a_folder_may_be_named_in_either_way(run, policies):
    (policies / "cache_test.yaml").unlink()
    for words in ([str(policies)], ["--policies", str(policies)], ["--policies", "nowhere", str(policies)]):
        told = run("check", *words)
        assert (told.code, told.out) == (0, "12 policies are good; 6 of 6 cases pass\n")


def test_every_problem_is_told_at_once(run, policies):
    (policies / "cache.yaml").write_text("ttl_s: 0\nreplay:\n  pase: at_once\n")
    (policies / "chain.yaml").write_text("order: [identify, cahce, upstream]\n")
    told = run("check", str(policies))
    assert (told.code, told.out) == (2, "")
    assert f"{policies}/cache.yaml:1:8: ttl_s: " in told.err
    assert f"{policies}/cache.yaml:3:3: replay: unknown key 'pase'" in told.err
    assert "did you mean 'pace'?" in told.err
    mended = (policies / "cache.yaml").write_text("ttl_s: 1\n")
    assert mended
    told = run("check", str(policies))
    assert f"{policies}/chain.yaml:1:19: order[1]: no stage is called 'cahce'" in told.err
    assert "did you mean 'cache'?" in told.err


def test_a_failing_case_is_code_1(run, policies):
    file = policies / "cache_test.yaml"
    file.write_text(file.read_text().replace("expect: {cache: bypass}", "expect: {cache: lookup}"))
    line = file.read_text().splitlines().index("    expect: {cache: lookup}", 8) + 1
    told = run("check", str(policies))
    assert told.code == 1
    assert told.out == "12 policies are good; 8 of 9 cases pass\n"
    where = f"{file}:{line}:21: a client may go around the cache: cache: "
    assert told.err.startswith(f"{where}expected 'lookup', got 'bypass'")


def test_a_case_is_counted_once_however_much_of_it_is_wrong(run, policies):
    (policies / "cache_test.yaml").write_text(
        "cases:\n"
        "  - name: two mistakes\n"
        "    request: {path: /v1/embeddings, body: {model: m, input: x}}\n"
        "    expect: {cache: bypass, ephemeral: ephemeral}\n"
    )
    told = run("check", str(policies))
    assert told.code == 1
    assert told.out == "12 policies are good; 6 of 7 cases pass\n"
    assert told.err.count("two mistakes") == 2


def test_a_case_that_the_gateway_refuses_at_the_door(run, policies):
    (policies / "cache_test.yaml").write_text(
        "cases:\n"
        "  - name: dots\n"
        "    request: {path: /v1/../secret}\n"
        "    expect: {request: {action: refuse, reason: invalid_path}}\n"
    )
    assert run("check", str(policies)).code == 0


def test_it_makes_no_state_folder(run, tmp_path):
    run("check", "--state", "here")
    assert list(tmp_path.iterdir()) == []
