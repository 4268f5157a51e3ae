"""Backbones of timm: any model, weights from wherever, classes by tag."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from helpers.backbones import IMAGES, feature
from timm.data import create_transform, resolve_data_config

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.timm import _timm_categories, timm_backbone
from devise_exp.features.backbones.torchvision import torchvision_backbone


# The second resizes both sides, to a size that rounding would get wrong.
@pytest.mark.parametrize("name", ["resnet10t", "tf_efficientnetv2_b3.in21k_ft_in1k"])
def test_timms_preprocessing_is_that_of_the_weights(name: str) -> None:
    backbone = timm_backbone(name, pretrained=False)
    data = resolve_data_config({}, model=backbone.network)
    expected = create_transform(**data, is_training=False)
    for image in IMAGES:
        assert torch.allclose(backbone.preprocess(image), expected(image), atol=1e-6)


def test_a_timm_network_comes_in_the_mode_of_the_others() -> None:
    assert timm_backbone("resnet10t", pretrained=False).network.training
    assert torchvision_backbone("resnet18", None).network.training


@pytest.mark.parametrize(("name", "length"), [("resnet10t", 512), ("mobilenetv3_small_050", 1024)])
def test_any_timm_model_by_name(name: str, length: int) -> None:
    backbone = timm_backbone(name, pretrained=False)
    assert (backbone.feature_dim, backbone.categories) == (length, ())
    assert feature(backbone).isfinite().all()
    assert backbone.fingerprint == timm_backbone(name, pretrained=False).fingerprint


def test_an_unknown_timm_name_gets_near_ones() -> None:
    with pytest.raises(
        InputError, match=r"resnet10tt: timm has no such model; near ones: resnet10t"
    ):
        timm_backbone("resnet10tt")
    with pytest.raises(InputError, match="near ones: none"):
        timm_backbone("???")
    with pytest.raises(InputError, match=r"Invalid pretrained tag \(imagenet\)"):
        timm_backbone("resnet10t.imagenet")


def test_timm_weights_without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        InputError, match=r"backbone\.file=FILE, or backbone=efficientnet_lite0"
    ) as caught:
        timm_backbone("resnet10t")
    assert "\n" not in str(caught.value)


# A convolutional network with a layer between pooling and classifier, and a transformer.
@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "test_vit"])
def test_a_timm_weights_file_is_all_that_counts(name: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    whole = timm.create_model(name).eval()
    kept = timm.create_model(name, num_classes=0).state_dict().keys()
    bare = {key: tensor for key, tensor in whole.state_dict().items() if key in kept}
    assert len(bare) == len(whole.state_dict()) - 2
    files = [tmp_path / f"{name}.pth" for name in ("whole", "bare", "wrapped")]
    files.append(tmp_path / "whole.safetensors")
    torch.save(whole.state_dict(), files[0])
    torch.save(bare, files[1])
    torch.save({"epoch": 3, "state_dict": whole.state_dict()}, files[2])
    safetensors.torch.save_file(whole.state_dict(), files[3])
    backbones = [timm_backbone(name, file=str(file)) for file in files]
    with torch.inference_mode():
        image = backbones[0].preprocess(IMAGES[0])[None]
        expected = whole.forward_head(whole.forward_features(image), pre_logits=True)[0]
    for backbone in backbones:
        assert torch.allclose(feature(backbone), expected, atol=1e-5)
        assert backbone.fingerprint == backbones[0].fingerprint
        assert backbone.categories is not None
        assert len(backbone.categories) == 1000


def test_timm_files_that_cannot_be_the_models_weights(resnet18_file: Path, tmp_path: Path) -> None:
    """Not one tensor may stay random in silence."""
    whole = timm.create_model("resnet10t").state_dict()
    lacking = tmp_path / "lacking.pth"
    torch.save({k: v for k, v in whole.items() if "layer4" not in k}, lacking)
    empty, junk = tmp_path / "empty.pth", tmp_path / "junk.safetensors"
    torch.save({}, empty)
    junk.write_bytes(b"junk")
    for file in (resnet18_file, lacking, empty, junk):
        with pytest.raises(InputError, match="resnet10t: its weights could not be had") as caught:
            timm_backbone("resnet10t", file=str(file))
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"backbone\.file=.*no such file"):
        timm_backbone("resnet10t", file=str(tmp_path / "none.pth"))
    with pytest.raises(InputError, match="give one of the two"):
        timm_backbone("resnet10t", pretrained=False, file=str(lacking))


@pytest.mark.parametrize(
    ("tag", "count"),
    [
        ("tv_in1k", 1000),
        ("sail_in1k_384", 1000),
        ("mae_in1k_ft_in1k", 1000),
        ("in22k_ft_in1k", 21842),  # and the one of ImageNet-1k that is not among them
        ("fb_in22k_ft_in1k_384", 21842),
        ("ssld_stage1_in22k_in1k", None),
        ("augreg_in21k", 21843),
        ("sw_in12k_ft_in1k", 11828),
        ("laion2b_ft_in12k_in1k", None),
        ("clip_laion2b_augreg_ft_in1k", None),
        ("openai", None),
        ("fb_swsl_ig1b_ft_in1k", None),
        ("ns_jft_in1k", None),
        ("swag_lc_in1k", None),
        ("mim_m38m_ft_in22k_in1k", None),
        ("lvd142m", None),
        ("", None),
    ],
)
def test_pretraining_classes_by_tag(tag: str, count: int | None) -> None:
    categories = _timm_categories(tag)
    assert (None if categories is None else len(categories)) == count
    assert categories is None or any("tench" in category for category in categories)
