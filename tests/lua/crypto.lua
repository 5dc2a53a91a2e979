-- crypto, but for crypto.jwt.

local hex, base64, base64url, ed25519 = crypto.hex, crypto.base64, crypto.base64url, crypto.ed25519

test("digests", function()
  eq(hex.encode(crypto.sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d")
  eq(hex.encode(crypto.sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  eq(hex.encode(crypto.sha384("abc")), "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed" ..
                                       "8086072ba1e7cc2358baeca134c825a7")
  eq(hex.encode(crypto.sha512("abc")), "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" ..
                                       "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f")
  eq(hex.encode(crypto.sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  eq(#crypto.sha256(("x"):rep(300000)), 32)
  eq(crypto.sha1(12), crypto.sha1("12"))
  raises("string expected", crypto.sha256)
  raises("string expected", crypto.sha256, {})
end)

test("hmac", function()
  local text = "what do ya want for nothing?"
  eq(hex.encode(crypto.hmac("sha1", "Jefe", text)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
  eq(hex.encode(crypto.hmac("sha256", "Jefe", text)),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  eq(#crypto.hmac("sha384", "", ""), 48)
  eq(#crypto.hmac("sha512", ("k"):rep(1000), ("d"):rep(300000)), 64)
  raises('no algorithm "md5"; there are sha1, sha256, sha384 and sha512', crypto.hmac, "md5", "k", "d")
  raises('no algorithm "SHA256"', crypto.hmac, "SHA256", "k", "d")
  raises("string expected", crypto.hmac, "sha256", nil, "d")
  raises("string expected", crypto.hmac, "sha256", "k")
end)

test("random bytes", function()
  eq(#crypto.randomBytes(16), 16)
  eq(#crypto.randomBytes(65536), 65536)
  eq(crypto.randomBytes(0), "")
  eq(crypto.randomBytes(16) ~= crypto.randomBytes(16), true)
  for _, n in ipairs { -1, 65537, math.mininteger, math.maxinteger } do
    raises("from 0 to 65536 bytes", crypto.randomBytes, n)
  end
  raises("no integer representation", crypto.randomBytes, 1.5)
  raises("number expected", crypto.randomBytes)
end)

test("bytes as text", function()
  local all = {}
  for i = 0, 255 do all[#all + 1] = string.char(i) end
  local bytes = table.concat(all)
  for _, encoding in ipairs { hex, base64, base64url } do
    eq(encoding.decode(encoding.encode(bytes)), bytes)
    eq(encoding.encode(""), "")
    eq(encoding.decode(""), "")
    local long = bytes:rep(100)
    eq(encoding.decode(encoding.encode(long)), long)
    raises("string expected", encoding.encode)
    raises("string expected", encoding.decode, nil)
  end
  eq(base64.encode("foobar"), "Zm9vYmFy")
  eq(base64.encode("fo"), "Zm8=")
  eq(base64url.encode("\xfb\xff"), "-_8")
  eq(hex.encode("\x00\xAf"), "00af")
  eq(hex.decode("00AF"), "\x00\xaf")
  for text, decode in pairs { ["Zm8"] = base64.decode, ["Zm8=="] = base64.decode, ["Zm9="] = base64.decode,
                              ["Zm8=\n"] = base64.decode, ["-_8="] = base64.decode, ["Zm8="] = base64url.decode,
                              ["+/8"] = base64url.decode, ["abc"] = hex.decode, ["0x00"] = hex.decode } do
    local bytes, message = decode(text)
    eq(bytes, nil)
    eq(type(message), "string")
  end
end)

test("timingSafeEqual", function()
  local equal = crypto.timingSafeEqual
  eq(equal("", ""), true)
  eq(equal("abc", "abc"), true)
  eq(equal("abc", "abd"), false)
  eq(equal("abc", "ab"), false)
  eq(equal("abc", nil), false)
  eq(equal(nil, "abc"), false)
  eq(equal(nil, nil), false)
  eq(equal(), false)
  raises("string expected", equal, "a", {})
  raises("string expected", equal, true, "a")
end)

test("ed25519", function()
  -- RFC 8032 7.1, test 2
  local private = hex.decode "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
  local public = hex.decode "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
  local signature = hex.decode("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" ..
                               "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
  eq(ed25519.sign("r", private), signature)
  eq(ed25519.verify(signature, "r", public), true)
  eq(ed25519.verify(signature, "s", public), false)
  eq(ed25519.verify(signature:sub(1, 63), "r", public), false)
  eq(ed25519.verify("", "r", public), false)
  eq(ed25519.verify(nil, "r", public), false)
  local jwk = { kty = "OKP", crv = "Ed25519", x = base64url.encode(public) }
  eq(ed25519.verify(signature, "r", jwk), true)
  eq(ed25519.verify(signature, "r", json.encode(jwk)), true)
  local prefix = hex.decode "302a300506032b6570032100" -- SubjectPublicKeyInfo of RFC 8410
  local pem = "-----BEGIN PUBLIC KEY-----\n" .. base64.encode(prefix .. public) .. "\n-----END PUBLIC KEY-----\n"
  eq(ed25519.verify(signature, "r", pem), true)
  raises("public one", ed25519.sign, "r", pem)
  raises("public one", ed25519.sign, "r", jwk)
  jwk.d = base64url.encode(private)
  eq(ed25519.sign("r", jwk), signature)
  -- 32 bytes are a key, whatever they look like
  eq(#ed25519.sign("r", "{" .. ("x"):rep(31)), 64)
  for _, key in ipairs { "", public:sub(2), public .. "x", hex.encode(public) } do
    raises("32 raw bytes, PEM or a JWK", ed25519.verify, signature, "r", key)
  end
  raises("32 raw bytes, PEM or a JWK", ed25519.verify, signature, "r", { keys = { jwk } })
  raises("not one of Ed25519", ed25519.verify, signature, "r", { kty = "oct", k = "AAAA" })
  raises("a key expected", ed25519.verify, signature, "r")
  raises("string expected", ed25519.verify, signature, nil, public)
end)

test("the tables are always the same", function()
  eq(rawequal(crypto.hex, crypto.hex), true)
  eq(require "crypto" == crypto, true)
end)
