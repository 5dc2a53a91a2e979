// Certificates for tests, made by the openssl command.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// A certificate that signs itself, for these host names, and its key, as PEM: { cert, key }. days may be negative.
export function makeCertificate(names, { type = "ec", days = 30 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "festa-certificate-"));
  const algorithm = { ec: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], rsa: ["rsa:2048"] }[type];
  try {
    execFileSync(
      "openssl",
      [
        "req", "-x509", "-newkey", ...algorithm, "-nodes", "-days", String(days), "-subj", `/CN=${names[0]}`,
        "-addext", `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}`,
        "-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem"),
      ],
      { stdio: "pipe" },
    );
    return {
      cert: readFileSync(join(folder, "cert.pem"), "utf8"),
      key: readFileSync(join(folder, "key.pem"), "utf8"),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
