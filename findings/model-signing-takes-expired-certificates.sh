#!/usr/bin/env bash
# model-signing takes a signature by a certificate that has expired, and by one whose authority has.
#
# A signature by a certificate is checked together with the chain up to an authority that is trusted, and a good guess is
# that this is done as of today, or of a time that somebody vouches for, as a timestamp in the signature. In certificate
# mode there is none, and model-signing sets the clock of its check to the first day of the signing certificate itself:
# whatever was valid then is valid for ever, also where the key leaked after the last day. Whoever wants today asks OpenSSL
# again, with the certificates that the signature holds.
#
# The same release does not start where it is installed alone: it imports OpenSSL from pyOpenSSL, which it does not require,
# and which sigstore 4.5 brings no more.
#
# Seen: model-signing 1.1.1, sigstore 4.5.1, pyOpenSSL 26.4.0, Python 3.11, OpenSSL 3.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check model-signing==1.1.1 sigstore==4.5.1
if env/bin/model_signing --version 2> alone.txt; then echo "it starts without pyOpenSSL"; exit 1; fi
tail -1 alone.txt
env/bin/python -m pip install --quiet --disable-pip-version-check pyOpenSSL==26.4.0

cat > certificates.py <<'PY'
"""Write an authority's certificate and a signer's, which both ended yesterday."""
import datetime
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

now = datetime.datetime.now(datetime.timezone.utc)
begun, ended = (now - datetime.timedelta(days=days) for days in (10, 1))
pem = serialization.Encoding.PEM


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "ann")}
for name, key in keys.items():
    authority = name == "root"
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"), False)
    made = (
        x509.CertificateBuilder().subject_name(named(name)).issuer_name(named("root"))
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(begun).not_valid_after(ended)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority,
                                     crl_sign=authority, **usage), critical=True)
        .sign(keys["root"], hashes.SHA256())
    )
    pathlib.Path(f"{name}.pem").write_bytes(made.public_bytes(pem))
    pathlib.Path(f"{name}.key").write_bytes(key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
PY
env/bin/python certificates.py
mkdir model && echo weights > model/weights
env/bin/model_signing sign certificate model --signature model.sig --private_key ann.key --signing_certificate ann.pem \
  --certificate_chain root.pem
echo "of a certificate that ended yesterday:"
env/bin/model_signing verify certificate model --signature model.sig --certificate_chain root.pem
if openssl verify -CAfile root.pem -purpose any ann.pem > asked.txt 2>&1; then echo "OpenSSL takes it, too"; exit 1; fi
grep "expired" asked.txt
