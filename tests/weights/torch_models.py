"""Networks as torchvision and the CIFAR-10 literature lay them out, written from their papers."""

import torch
from torch import nn


def conv_bn(c_in, c_out, kernel, stride=1, groups=1):
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return conv, nn.BatchNorm2d(c_out)


class BasicBlock(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1, self.bn1 = conv_bn(c_in, c_out, 3, stride)
        self.relu = nn.ReLU()
        self.conv2, self.bn2 = conv_bn(c_out, c_out, 3)
        change = stride > 1 or c_in != c_out
        self.downsample = nn.Sequential(*conv_bn(c_in, c_out, 1, stride)) if change else None

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """Torchvision's names: conv1, bn1, layer1.0.conv1, layer2.0.downsample.0, fc."""

    def __init__(self, classes, width=64):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        self.layer1 = self.stage(width, width, 1)
        self.layer2 = self.stage(width, 2 * width, 2)
        self.layer3 = self.stage(2 * width, 4 * width, 2)
        self.layer4 = self.stage(4 * width, 8 * width, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, classes)

    @staticmethod
    def stage(c_in, c_out, stride):
        return nn.Sequential(BasicBlock(c_in, c_out, stride), BasicBlock(c_out, c_out, 1))

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class ResNet20(nn.Module):
    """The layout of the CIFAR-10 repositories: conv1, bn1, layer1.0.conv1, ..., linear."""

    def __init__(self, classes, blocks=3):
        super().__init__()
        self.conv1, self.bn1 = conv_bn(3, 16, 3)
        widths = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
        for i, (c_in, c_out, stride) in enumerate(widths):
            more = [BasicBlock(c_out, c_out, 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{i + 1}", nn.Sequential(BasicBlock(c_in, c_out, stride), *more))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class MobileNetV1(nn.Module):
    def __init__(self, classes, width):
        super().__init__()
        plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
        plan += [(1024, 2), (1024, 1)]
        c_in = int(32 * width)
        layers = [nn.Sequential(*conv_bn(3, c_in, 3, 2), nn.ReLU6())]
        for filters, stride in plan:
            c_out = int(filters * width)
            first = *conv_bn(c_in, c_in, 3, stride, groups=c_in), nn.ReLU6()
            layers.append(nn.Sequential(*first, *conv_bn(c_in, c_out, 1), nn.ReLU6()))
            c_in = c_out
        self.model = nn.Sequential(*layers)
        self.fc = nn.Linear(c_in, classes)

    def forward(self, x):
        return self.fc(self.model(x).mean((2, 3)))


class InvertedResidual(nn.Module):
    def __init__(self, c_in, c_out, stride, expansion):
        super().__init__()
        wide = expansion * c_in
        layers = []
        if expansion > 1:
            layers.append(nn.Sequential(*conv_bn(c_in, wide, 1), nn.ReLU6()))
        layers.append(nn.Sequential(*conv_bn(wide, wide, 3, stride, groups=wide), nn.ReLU6()))
        self.conv = nn.Sequential(*layers, *conv_bn(wide, c_out, 1))
        self.adds = stride == 1 and c_in == c_out

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    """Torchvision's names: features.0.0, features.1.conv.0.0, classifier.1."""

    def __init__(self, classes):
        super().__init__()
        table = [
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
            (6, 160, 3, 2), (6, 320, 1, 1),
        ]  # fmt: skip
        layers, c_in = [nn.Sequential(*conv_bn(3, 32, 3, 2), nn.ReLU6())], 32
        for expansion, c_out, blocks, stride in table:
            for i in range(blocks):
                layers.append(InvertedResidual(c_in, c_out, stride if i == 0 else 1, expansion))
                c_in = c_out
        layers.append(nn.Sequential(*conv_bn(c_in, 1280, 1), nn.ReLU6()))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


def settle(module, seed=0):
    """Give batch norms statistics and scales of their own, so that a mix-up shows."""
    generator = torch.Generator().manual_seed(seed)
    for each in module.modules():
        if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d):
            with torch.no_grad():
                for tensor in (each.weight, each.running_var):
                    tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
                for tensor in (each.bias, each.running_mean):
                    tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
    return module.eval()
