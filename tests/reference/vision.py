"""Vision modules of the method in plain PyTorch, written from the equations and from MedicalNet's published layout."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, dilation, shortcut):
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm3d(outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm3d(outputs)
        self.changes = stride != 1 or inputs != outputs
        self.stride, self.outputs, self.shortcut = stride, outputs, shortcut
        if self.changes and shortcut == "b":
            self.downsample = nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if not self.changes:
            return F.relu(y + x)
        if self.shortcut == "b":
            return F.relu(y + self.downsample(x))
        x = x[:, :, :: self.stride, :: self.stride, :: self.stride]
        zeros = x.new_zeros(x.shape[0], self.outputs - x.shape[1], *x.shape[2:])
        return F.relu(y + torch.cat([x, zeros], 1))


class ResNet3d(nn.Module):
    def __init__(self, in_channels, width, depth, shortcut, strides):
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        blocks = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}[depth]
        plan = {"dilated": ((1, 1), (2, 1), (1, 2), (1, 4)), "plain_16": ((1, 1), (2, 1), (2, 1), (1, 1)),
                "plain_32": ((1, 1), (2, 1), (2, 1), (2, 1))}[strides]
        channels = width
        for i, (stride, dilation) in enumerate(plan):
            layer = nn.Sequential()
            for j in range(blocks[i]):
                layer.append(Block(channels, width << i, stride if j == 0 else 1, dilation, shortcut))
                channels = width << i
            setattr(self, f"layer{i + 1}", layer)

    def forward(self, x):
        x = F.max_pool3d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class PerceiverAttention(nn.Module):
    def __init__(self, d, heads, head_dim):
        super().__init__()
        self.heads, self.head_dim = heads, head_dim
        self.norm_media, self.norm_latents = nn.LayerNorm(d), nn.LayerNorm(d)
        self.to_q = nn.Linear(d, heads * head_dim, bias=False)
        self.to_kv = nn.Linear(d, 2 * heads * head_dim, bias=False)
        self.to_out = nn.Linear(heads * head_dim, d, bias=False)

    def forward(self, media, latents):
        media, latents = self.norm_media(media), self.norm_latents(latents)
        split = lambda t: t.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
        q = split(self.to_q(latents))
        k, v = map(split, self.to_kv(torch.cat([media, latents], 1)).chunk(2, -1))
        weights = (q @ k.transpose(-1, -2) * self.head_dim**-0.5).softmax(-1)
        return self.to_out((weights @ v).transpose(1, 2).flatten(2)), weights


class FeedForward(nn.Module):
    def __init__(self, d, mult):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.fc1, self.fc2 = nn.Linear(d, mult * d, bias=False), nn.Linear(mult * d, d, bias=False)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class Resampler(nn.Module):
    def __init__(self, c, v, tokens, dim, depth, heads, head_dim, ff_mult, position):
        super().__init__()
        self.latents = nn.Parameter(torch.zeros(tokens, dim))
        self.proj_in = nn.Linear(c, dim) if c != dim else nn.Identity()
        self.position = nn.Parameter(torch.zeros(v, dim)) if position == "learned" else None
        self.layers = nn.ModuleList()
        for _ in range(depth):
            self.layers.append(nn.ModuleDict({"attn": PerceiverAttention(dim, heads, head_dim), "ff": FeedForward(dim, ff_mult)}))
        self.norm = nn.LayerNorm(dim)

    def forward(self, features):
        x = self.proj_in(features)
        if self.position is not None:
            x = x + self.position
        latents = self.latents.expand(x.shape[0], -1, -1)
        for layer in self.layers:
            update, weights = layer["attn"](x, latents)
            latents = latents + update
            latents = latents + layer["ff"](latents)
        return self.norm(latents), weights.mean(1)[:, :, : x.shape[1]]


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.encoder = ResNet3d(**config["encoder"])
        with torch.no_grad():
            shape = self.encoder.eval()(torch.zeros(1, config["encoder"]["in_channels"], *config["input"])).shape
        self.resampler = Resampler(shape[1], shape[2:].numel(), **config["resampler"])

    def forward(self, volume):
        return self.resampler(self.encoder(volume).flatten(2).transpose(1, 2))


class Classifier(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.classifier = ResNet3d(**config["classifier"]["backbone"])
        self.classifier.head = nn.Conv3d(8 * config["classifier"]["backbone"]["width"], config["classifier"]["labels"], 1)

    def forward(self, volume):
        logits = self.classifier.head(self.classifier(volume)).double()
        return (1 - (1 - logits.sigmoid()).flatten(2).prod(2)).float()


class Difference(nn.Module):
    def __init__(self, config):
        super().__init__()
        c, n, d = config["difference"], config["resampler"]["tokens"], config["resampler"]["dim"]
        d_llm = config["decoder"]["hidden_size"]
        self.c = c
        self.difference = nn.Module()
        if c["global"]:
            self.difference.query = nn.Parameter(torch.zeros(d))
            self.difference.position = nn.Parameter(torch.zeros(1 + 2 * n, d)) if c["positions"] else None
            self.difference.transformer = nn.TransformerEncoderLayer(
                d, c["heads"], c["ff_mult"] * d, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        if c["prefix_tokens"]:
            projector = self.difference.projector = nn.Module()
            projector.fc1 = nn.Linear(d * (c["global"] + c["local"]), d_llm)
            out = c["prefix_tokens"] * d_llm
            if c["projector_rank"] is None:
                projector.fc2 = nn.Linear(d_llm, out)
            else:
                projector.fc2_down = nn.Linear(d_llm, c["projector_rank"], bias=False)
                projector.fc2_up = nn.Linear(c["projector_rank"], out)
        self.visual_proj = nn.Linear(d, d_llm, bias=False)

    def forward(self, tokens, reference):
        delta = tokens - reference
        importance = delta.square().sum(2)
        weights = importance / (importance.sum(1, keepdim=True) + self.c["epsilon"])
        visual = self.visual_proj(tokens)
        parts = []
        if self.c["global"]:
            query = self.difference.query.expand(tokens.shape[0], 1, -1)
            x = torch.cat([query, tokens, reference], 1)
            if self.difference.position is not None:
                x = x + self.difference.position
            parts.append(self.difference.transformer(x)[:, 0])
        if self.c["local"]:
            parts.append((weights.unsqueeze(2) * delta).sum(1))
        if not parts:
            return visual[:, :0], visual, importance, weights
        p = self.difference.projector
        x = F.gelu(p.fc1(torch.cat(parts, 1)))
        x = p.fc2(x) if self.c["projector_rank"] is None else p.fc2_up(p.fc2_down(x))
        return x.unflatten(1, (self.c["prefix_tokens"], -1)), visual, importance, weights
