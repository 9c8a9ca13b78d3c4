from penstock.sample.answers import logprobs


def test_each_token_has_its_bytes_and_as_many_rivals_as_asked():
    entries = logprobs.of_tokens(["Zü", " rich"], 3)
    assert [entry["token"] for entry in entries] == ["Zü", " rich"]
    assert bytes(entries[0]["bytes"]) == "Zü".encode()
    assert [len(entry["top_logprobs"]) for entry in entries] == [3, 3]


def test_the_token_itself_leads_its_rivals_and_none_is_above_zero():
    (entry,) = logprobs.of_tokens(["a"], 4)
    told = [rival["logprob"] for rival in entry["top_logprobs"]]
    assert entry["top_logprobs"][0]["token"] == "a"
    assert told == sorted(told, reverse=True)
    assert told[0] == entry["logprob"] < 0
    assert len({rival["token"] for rival in entry["top_logprobs"]}) == 4


def test_none_asked_gives_an_empty_list():
    assert logprobs.of_tokens(["a"], None)[0]["top_logprobs"] == []


def test_the_shape_of_deltas_has_no_bytes():
    (entry,) = logprobs.without_bytes(logprobs.of_tokens(["a"], 1))
    assert set(entry) == {"token", "logprob", "top_logprobs"}
    assert set(entry["top_logprobs"][0]) == {"token", "logprob"}


def test_the_old_shape_counts_offsets_in_characters():
    told = logprobs.legacy(["Zü", " rich", "!"], 2, offset=10)
    assert told["text_offset"] == [10, 12, 17]
    assert told["tokens"] == ["Zü", " rich", "!"]
    assert len(told["token_logprobs"]) == 3
    assert [len(top) for top in told["top_logprobs"]] == [2, 2, 2]
