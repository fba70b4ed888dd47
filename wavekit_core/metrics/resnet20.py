"""ResNet-20 for CIFAR-10 (He et al. 2016, "Deep residual learning for image recognition", section 4.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut without parameters: every second pixel, zeros for the new channels (option A)."""

    def __init__(self, source: int, target: int):
        super().__init__()
        self.stride = 1 if source == target else 2
        self.new = (target - source) // 2
        self.conv1 = nn.Conv2d(source, target, 3, self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(target)
        self.conv2 = nn.Conv2d(target, target, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(target)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, self.new, self.new))
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + shortcut)


class ResNet20(nn.Module):
    """RGB images (B, 3, 32, 32) in [0, 1] to logits (B, 10); three stages of three blocks. The names of the parameters are
    those of the implementation akamaster/pytorch_resnet_cifar10."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(BasicBlock(16, 16), BasicBlock(16, 16), BasicBlock(16, 16))
        self.layer2 = nn.Sequential(BasicBlock(16, 32), BasicBlock(32, 32), BasicBlock(32, 32))
        self.layer3 = nn.Sequential(BasicBlock(32, 64), BasicBlock(64, 64), BasicBlock(64, 64))
        self.linear = nn.Linear(64, 10)

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, 32, 32) to the 64 averaged channels before the last layer (B, 64)."""
        x = (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return x.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.features(images))
