"""Backbones have torchvision's names, and an embedding where the class scores were."""

import pytest
import torch
from torchvision import models

from attribute_recovery.recognizer.architectures.torchvision_backbones import backbone


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_large", "efficientnet_b0"])
def test_the_state_dict_of_a_classifier_differs_in_the_last_layer_only(name: str) -> None:
    own, theirs = backbone(name, 7).state_dict(), models.get_model(name, weights=None).state_dict()
    assert list(own) == list(theirs)
    changed = [key for key in own if own[key].shape != theirs[key].shape]
    last = "fc" if name.startswith("resnet") else changed[0].rsplit(".", 1)[0]
    assert changed == [f"{last}.weight", f"{last}.bias"]
    assert own[f"{last}.weight"].shape[0] == 7


def test_weights_of_a_trained_one_load() -> None:
    torch.manual_seed(0)
    first, second = backbone("resnet18", 5).eval(), backbone("resnet18", 5).eval()
    second.load_state_dict(first.state_dict())
    images = torch.randn(2, 3, 48, 48)
    assert torch.equal(first(images), second(images))


@pytest.mark.parametrize("name", ["resnet1", "raft_large"])
def test_what_torchvision_has_not_gets_its_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=f"architecture: found '{name}', torchvision has no classifier"):
        backbone(name, 5)
