#!/usr/bin/env bash
# `\s` in a tokenizer.json cuts a text in other places in the tokenizers library than in JavaScript.
#
# The pattern of a Split pre-tokenizer is shipped as text, and a host that has a regular expression engine will hand it that
# text. In tokenizers (its engine is Oniguruma) `\s` is Unicode's White_Space: U+0085 is in it, U+FEFF is not. In JavaScript,
# with the flag u, it is the reverse. So both ends read the same file and give other ids for such a text, without an error.
# A portable pattern spells the class out, or the host translates `\s`.
#
# Seen: tokenizers 0.23.3 (Python 3.11); node 20.20.2.
set -euo pipefail
command -v node >/dev/null || { echo "node is not here"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > cut.py <<'PY'
from tokenizers import Regex, pre_tokenizers

split = pre_tokenizers.Split(Regex(r"\s"), behavior="isolated")
print([len(split.pre_tokenize_str(f"a{character}b")) for character in ("\u0085", "\ufeff", " ")])
PY
cat > cut.mjs <<'JS'
console.log(JSON.stringify(['\u0085', '\ufeff', ' '].map((character) => (/\s/u.test(character) ? 3 : 1))));
JS

python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check tokenizers==0.23.3
library=$(env/bin/python cut.py | tr -d ' ')
javascript=$(node cut.mjs)
echo "pieces of a text around U+0085, U+FEFF and a space: tokenizers $library, JavaScript $javascript"
[ "$library" = "[3,1,3]" ] && [ "$javascript" = "[1,3,3]" ]
