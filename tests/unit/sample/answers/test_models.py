import pytest
from openai.types import Model

from penstock.errors import Refusal
from penstock.sample.answers import models


def test_every_model_of_the_list_can_be_asked_for():
    listed = models.listing()
    assert listed["object"] == "list"
    for told in listed["data"]:
        assert Model.model_validate(told, strict=True).id == told["id"]
        assert models.model(told["id"]) == told


def test_an_unknown_model_is_a_404_that_does_not_repeat_its_name():
    with pytest.raises(Refusal) as refused:
        models.model("secret-name")
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")
    assert "secret-name" not in str(refused.value.shape())
