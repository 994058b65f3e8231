#!/usr/bin/env python3
"""Makes vectors.json: notifications sealed and signed by OpenSSL, one for each
way of encryption with each way of signature.

    python3 make_vectors.py > vectors.json

CBC, ECB and HMAC are made by the command `openssl`. It has no command for GCM:
that is made by the same OpenSSL's library (libcrypto) through its EVP functions.
Keys and initialisation vectors are made up and fixed, so that a second run gives
the same file."""

import base64, ctypes, ctypes.util, json, subprocess, sys

KEY = bytes(range(1, 33))                     # of AES-256
KEY_TEXT = b"0123456789abcdefghijklmnopqrstuv"  # where the key is text
SIGN = bytes(range(64, 104))                  # of the signature
SIGN_TEXT = b"a key of the signature, as text"
IV = {12: bytes.fromhex("a0a1a2a3a4a5a6a7a8a9aaab"), 16: bytes.fromhex("b0b1b2b3b4b5b6b7b8b9babbbcbdbebf")}

IPN = ('{"id":"20250528160901","transactionType":"SALE","amount":"123456","currency":"VND","isoResponseCode":"00","status":"SUCCESS",'
       '"traceNo":"000021","refId":"438498133462","reqId":"5c3f2f9e-6a55-4d0c-9a66-0a3f5f1c7d11","cardNumber":"529183******1825"}')
FIELDS = ["id", "amount", "currency", "isoResponseCode", "refId"]


def openssl(*args, stdin=b""):
    return subprocess.run(["openssl", *args], input=stdin, stdout=subprocess.PIPE, check=True).stdout


def hmac(key, over):
    return openssl("dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:" + key.hex(), "-binary", stdin=over)


def block(mode, key, iv, padding, plain):
    args = ["enc", "-aes-256-" + mode, "-K", key.hex()]
    if mode == "cbc":
        args += ["-iv", iv.hex()]
    if padding == "zero":
        args += ["-nopad"]
        plain += b"\0" * (-len(plain) % 16)
    return openssl(*args, stdin=plain)


crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
crypto.EVP_CIPHER_CTX_new.restype = ctypes.c_void_p
crypto.EVP_aes_256_gcm.restype = ctypes.c_void_p


def gcm(key, iv, plain):
    ctx = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
    out, n, tag = ctypes.create_string_buffer(len(plain) + 16), ctypes.c_int(0), ctypes.create_string_buffer(16)
    ok = crypto.EVP_EncryptInit_ex(ctx, ctypes.c_void_p(crypto.EVP_aes_256_gcm()), None, None, None)
    ok &= crypto.EVP_CIPHER_CTX_ctrl(ctx, 0x9, len(iv), None)   # EVP_CTRL_AEAD_SET_IVLEN
    ok &= crypto.EVP_EncryptInit_ex(ctx, None, None, key, iv)
    ok &= crypto.EVP_EncryptUpdate(ctx, out, ctypes.byref(n), plain, len(plain))
    size = n.value
    ok &= crypto.EVP_EncryptFinal_ex(ctx, ctypes.byref(out, size), ctypes.byref(n))
    ok &= crypto.EVP_CIPHER_CTX_ctrl(ctx, 0x10, 16, tag)        # EVP_CTRL_AEAD_GET_TAG
    assert ok == 1
    return out.raw[:size], tag.raw


def text(b, how):
    return {"hex": b.hex, "base64": lambda: base64.b64encode(b).decode(), "base64url": lambda: base64.urlsafe_b64encode(b).decode().rstrip("=")}[how]()


def written(key, plain_text, how):
    return {"hex": key.hex(), "base64": base64.b64encode(key).decode(), "text": plain_text.decode()}[how]


ENCRYPTIONS = [dict(mode="cbc", iv=iv, padding=p, iv_size=16) for iv in ("prefix", "fixed", "zero") for p in ("pkcs7", "zero")]
ENCRYPTIONS += [dict(mode="ecb", iv="prefix", padding=p, iv_size=0) for p in ("pkcs7", "zero")]
ENCRYPTIONS += [dict(mode="gcm", iv=iv, tag=t, iv_size=n) for iv in ("prefix", "fixed", "zero") for t in ("suffix", "prefix") for n in (12, 16)]
SIGNATURES = [dict(sign="body", sign_in="header")]
SIGNATURES += [dict(sign=s, sign_in=i) for s in ("data", "ciphertext", "plaintext") for i in ("header", "field")]
SIGNATURES += [dict(sign="fields", sign_form=f, sign_in=i) for f in ("values", "pairs") for i in ("header", "field", "inner")]
SIGNATURES += [dict(sign="none")]


def vector(i, e, s):
    how = dict(key=("hex", "base64", "text")[i % 3], text=("base64", "base64url", "hex")[i // 3 % 3],
               sign_key=("text", "hex", "base64")[i // 2 % 3], sign_text=("hex", "base64", "base64url")[i // 5 % 3], sign_join=("", "|", "&")[i % 3])
    key = KEY_TEXT if how["key"] == "text" else KEY
    sign = SIGN_TEXT if how["sign_key"] == "text" else SIGN
    signature = lambda over: text(hmac(sign, over), how["sign_text"])
    ipn = json.loads(IPN)
    fields = how["sign_join"].join((f + "=" if s.get("sign_form") == "pairs" else "") + ipn[f] for f in FIELDS).encode()
    plain = IPN.encode()
    if s.get("sign_in") == "inner":
        plain = (IPN[:-1] + ',"signature":"' + signature(fields) + '"}').encode()
    iv = {"prefix": IV, "fixed": IV, "zero": {12: bytes(12), 16: bytes(16)}}[e["iv"]].get(e["iv_size"], b"")
    if e["mode"] == "gcm":
        sealed, tag = gcm(key, iv, plain)
        sealed = sealed + tag if e["tag"] == "suffix" else tag + sealed
    else:
        sealed = block(e["mode"], key, iv, e["padding"], plain)
    if e["mode"] != "ecb" and e["iv"] == "prefix":
        sealed = iv + sealed
    data = text(sealed, how["text"])
    over = {"data": data.encode(), "ciphertext": sealed, "plaintext": plain, "fields": fields}
    envelope, header = {"data": data}, ""
    if s.get("sign_in") == "field":
        envelope["signature"] = signature(over[s["sign"]])
    body = json.dumps(envelope)
    if s.get("sign_in") == "header":
        header = signature(body.encode() if s["sign"] == "body" else over[s["sign"]])
    profile = {**e, **s, **how}
    if e["mode"] == "gcm" and e["iv_size"] == 12:
        profile["iv_size"] = 0
    if e["iv"] == "fixed":
        profile["iv_hex"] = iv.hex()
    if s["sign"] == "fields":
        profile["sign_fields"] = FIELDS
    if s["sign"] == "none":
        profile["allow_unsigned"] = True
    profile["sign_name"] = "X-Signature" if s.get("sign_in") == "header" else "signature"
    return dict(profile=profile, key=written(KEY, KEY_TEXT, how["key"]), sign_key=written(SIGN, SIGN_TEXT, how["sign_key"]), header=header, body=body)


def main():
    pairs = [(e, s) for e in ENCRYPTIONS for s in SIGNATURES]
    version = openssl("version").decode().split(" (")[0].strip()
    print(json.dumps(dict(origin="make_vectors.py with " + version, ipn=IPN, vectors=[])) [:-2])
    print(",\n".join(json.dumps(vector(i, e, s)) for i, (e, s) in enumerate(pairs)))
    print("]}")


main()
