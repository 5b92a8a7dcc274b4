"""The upstream classes of captioners, rewritten at their smallest, so that real files of them
exist, and what their own forward gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

WORDS, EMBED, HIDDEN, ATTEND, FC, ATT, REGIONS = 23, 6, 8, 5, 9, 7, 4
_MAXOUT = 5


class EncoderCNN(nn.Module):
    """yunjey: what comes behind its ResNet."""

    def __init__(self, children: Sequence[nn.Module] = (), width: int = 2048) -> None:
        super().__init__()
        self.resnet = nn.Sequential(*children)
        self.linear = nn.Linear(width, EMBED)
        self.bn = nn.BatchNorm1d(EMBED, momentum=0.01)

    def forward(self, images: Tensor) -> Tensor:
        features = self.resnet(images)
        return self.bn(self.linear(features.reshape(features.size(0), -1)))


class DecoderRNN(nn.Module):
    """yunjey: the picture is the first input; ``sample`` writes 20 ids."""

    def __init__(self, layers: int = 1) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, EMBED)
        self.lstm = nn.LSTM(EMBED, HIDDEN, layers, batch_first=True)
        self.linear = nn.Linear(HIDDEN, WORDS)

    def sample(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return greedy ids ``[B, 20]`` and the scores that chose them ``[B, 20, V]``."""
        ids, scores, states, inputs = [], [], None, features.unsqueeze(1)
        for _ in range(20):
            hiddens, states = self.lstm(inputs, states)
            scores.append(self.linear(hiddens.squeeze(1)))
            ids.append(scores[-1].max(1)[1])
            inputs = self.embed(ids[-1]).unsqueeze(1)
        return torch.stack(ids, 1), torch.stack(scores, 1)


class Encoder(nn.Module):
    """sgrvinod: a stand-in for its ResNet; the size of the grid stands in it."""

    def __init__(self, side: int | None) -> None:
        super().__init__()
        if side is not None:
            self.enc_image_size = side
        self.linear = nn.Linear(2, 2)


class SgrvinodAttention(nn.Module):
    """sgrvinod's ``Attention``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder_att = nn.Linear(width, ATTEND)
        self.decoder_att = nn.Linear(HIDDEN, ATTEND)
        self.full_att = nn.Linear(ATTEND, 1)

    def forward(self, encoder_out: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        att = self.encoder_att(encoder_out) + self.decoder_att(h).unsqueeze(1)  # [B, R, K]
        alpha = torch.softmax(self.full_att(torch.relu(att)).squeeze(2), 1)  # [B, R]
        return (encoder_out * alpha.unsqueeze(2)).sum(1), alpha


class DecoderWithAttention(nn.Module):
    """sgrvinod: a gate on the context, the first state from the mean of the regions."""

    def __init__(self, width: int = ATT) -> None:
        super().__init__()
        self.attention = SgrvinodAttention(width)
        self.embedding = nn.Embedding(WORDS, EMBED)
        self.decode_step = nn.LSTMCell(EMBED + width, HIDDEN)
        self.init_h, self.init_c = nn.Linear(width, HIDDEN), nn.Linear(width, HIDDEN)
        self.f_beta = nn.Linear(HIDDEN, width)
        self.fc = nn.Linear(HIDDEN, WORDS)

    def forward(self, encoder_out: Tensor, captions: Tensor) -> tuple[Tensor, Tensor]:
        mean = encoder_out.mean(1)
        h, c = self.init_h(mean), self.init_c(mean)
        scores, alphas = [], []
        for t in range(captions.shape[1]):
            seen, alpha = self.attention(encoder_out, h)
            seen = torch.sigmoid(self.f_beta(h)) * seen
            joined = torch.cat([self.embedding(captions[:, t]), seen], 1)
            h, c = self.decode_step(joined, (h, c))
            scores.append(self.fc(h))
            alphas.append(alpha)
        return torch.stack(scores, 1), torch.stack(alphas, 1)


class LSTMCore(nn.Module):
    """ruotianluo: the maxout cell; ``more`` is added to the candidate's two halves."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.i2h = nn.Linear(inputs, _MAXOUT * HIDDEN)
        self.h2h = nn.Linear(HIDDEN, _MAXOUT * HIDDEN)

    def forward(self, x: Tensor, state: Any, more: Tensor | float = 0.0) -> tuple[Tensor, Any]:
        h, c = state
        sums = self.i2h(x) + self.h2h(h)
        i, f, o = torch.sigmoid(sums[:, : 3 * HIDDEN]).chunk(3, 1)
        first, second = (sums[:, 3 * HIDDEN :] + more).chunk(2, 1)
        c = f * c + i * torch.max(first, second)
        h = o * torch.tanh(c)
        return h, (h, c)


class RuotianluoAttention(nn.Module):
    """ruotianluo's ``Attention``."""

    def __init__(self) -> None:
        super().__init__()
        self.h2att, self.alpha_net = nn.Linear(HIDDEN, ATTEND), nn.Linear(ATTEND, 1)

    def forward(self, h: Tensor, feats: Tensor, keys: Tensor) -> Tensor:
        dot = torch.tanh(keys + self.h2att(h).unsqueeze(1))
        weight = torch.softmax(self.alpha_net(dot).squeeze(2), 1)
        return torch.bmm(weight.unsqueeze(1), feats).squeeze(1)


def zeros(rows: int) -> tuple[Tensor, Tensor]:
    """Return the first state of ruotianluo's models, h and c."""
    return torch.zeros(rows, HIDDEN), torch.zeros(rows, HIDDEN)


class Model(nn.Module):
    """What ruotianluo's models share: words, scores, and a loop over them."""

    def __init__(self, *, relu: bool, logit_layers: int = 1) -> None:
        super().__init__()
        table = nn.Embedding(WORDS, EMBED)
        self.embed = nn.Sequential(table, nn.ReLU(), nn.Dropout(0.5)) if relu else table
        between = [
            part
            for _ in range(logit_layers - 1)
            for part in (nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Dropout(0.5))
        ]
        last = nn.Linear(HIDDEN, WORDS)
        self.logit: nn.Module = nn.Sequential(*between, last) if between else last

    def forward(self, fc: Tensor, att: Tensor, tokens: Tensor) -> Tensor:
        state = self.begin(fc, att)
        made = []
        for t in range(tokens.shape[1]):
            y, state = self.step(self.embed(tokens[:, t]), fc, att, state)
            made.append(torch.log_softmax(self.logit(y), 1))
        return torch.stack(made, 1)  # [B, T, V]

    def begin(self, fc: Tensor, att: Tensor) -> Any:
        return zeros(len(fc))

    def step(self, word: Tensor, fc: Tensor, att: Tensor, state: Any) -> tuple[Tensor, Any]:
        raise NotImplementedError


class ShowTell(Model):
    """``ShowTellModel``."""

    def __init__(self, kind: str = "LSTM", layers: int = 1) -> None:
        super().__init__(relu=False)
        self.img_embed = nn.Linear(FC, EMBED)
        self.core = getattr(nn, kind)(EMBED, HIDDEN, layers, bias=False)

    def begin(self, fc: Tensor, att: Tensor) -> Any:
        return self.core(self.img_embed(fc).unsqueeze(0))[1]

    def step(self, word: Tensor, fc: Tensor, att: Tensor, state: Any) -> tuple[Tensor, Any]:
        y, state = self.core(word.unsqueeze(0), state)
        return y[0], state


class OneCore(Model):
    """``FCModel``; ``NewFCModel`` where ``new``."""

    def __init__(self, *, new: bool) -> None:
        super().__init__(relu=False)
        self.names = ("fc_embed", "_core") if new else ("img_embed", "core")
        setattr(self, self.names[0], nn.Linear(FC, EMBED))
        setattr(self, self.names[1], LSTMCore(EMBED))

    def begin(self, fc: Tensor, att: Tensor) -> Any:
        picture = getattr(self, self.names[0])(fc)
        return getattr(self, self.names[1])(picture, zeros(len(fc)))[1]

    def step(self, word: Tensor, fc: Tensor, att: Tensor, state: Any) -> tuple[Tensor, Any]:
        y, after = getattr(self, self.names[1])(word, state)
        return y, after


def att_embed(use_bn: int = 0) -> nn.Sequential:
    """Return how ``AttModel`` embeds regions."""
    before: list[nn.Module] = [nn.BatchNorm1d(ATT)] if use_bn else []
    after: list[nn.Module] = [nn.BatchNorm1d(HIDDEN)] if use_bn == 2 else []
    return nn.Sequential(*before, nn.Linear(ATT, HIDDEN), nn.ReLU(), nn.Dropout(0.5), *after)


def embedded(layers: nn.Sequential, att: Tensor) -> Tensor:
    """Return embedded regions ``[B, R, ·]``; batch normalisation is over all of them."""
    return layers(att.flatten(0, 1)).view(*att.shape[:2], -1)


class Att2in(Model):
    """``Att2in2Model``; ``Att2inModel``, over the features as they are, where not ``two``."""

    def __init__(self, *, two: bool, use_bn: int = 0, logit_layers: int = 1) -> None:
        super().__init__(relu=two, logit_layers=logit_layers)
        self.two = two
        if two:
            self.att_embed = att_embed(use_bn)
        width = HIDDEN if two else ATT
        self.ctx2att = nn.Linear(width, ATTEND)
        self.core = LSTMCore(EMBED)
        self.core.a2c = nn.Linear(width, 2 * HIDDEN)
        self.core.attention = RuotianluoAttention()

    def step(self, word: Tensor, fc: Tensor, att: Tensor, state: Any) -> tuple[Tensor, Any]:
        feats = embedded(self.att_embed, att) if self.two else att
        seen = self.core.attention(state[0], feats, self.ctx2att(feats))
        y, after = self.core(word, state, self.core.a2c(seen))
        return y, after


class UpDown(Model):
    """``UpDownModel``."""

    def __init__(self, use_bn: int = 0) -> None:
        super().__init__(relu=True)
        self.fc_embed = nn.Sequential(nn.Linear(FC, HIDDEN), nn.ReLU(), nn.Dropout(0.5))
        self.att_embed = att_embed(use_bn)
        self.ctx2att = nn.Linear(HIDDEN, ATTEND)
        self.core = nn.Module()
        self.core.att_lstm = nn.LSTMCell(EMBED + 2 * HIDDEN, HIDDEN)
        self.core.lang_lstm = nn.LSTMCell(2 * HIDDEN, HIDDEN)
        self.core.attention = RuotianluoAttention()

    def begin(self, fc: Tensor, att: Tensor) -> Any:
        return zeros(len(fc)), zeros(len(fc))

    def step(self, word: Tensor, fc: Tensor, att: Tensor, state: Any) -> tuple[Tensor, Any]:
        looking, speaking = state
        feats = embedded(self.att_embed, att)
        heard = torch.cat([speaking[0], self.fc_embed(fc), word], 1)
        looking = self.core.att_lstm(heard, looking)
        seen = self.core.attention(looking[0], feats, self.ctx2att(feats))
        speaking = self.core.lang_lstm(torch.cat([seen, looking[0]], 1), speaking)
        return speaking[0], (looking, speaking)
