// One table of raw requests: the status that each gets, and whether the connection goes on.
// Where an HTTP standard leaves the choice, the row has all that it allows.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MIRROR } from "./lib/parties.mjs";
import { serverForSuite } from "./lib/server.mjs";

const OPEN = "open";
const CLOSED = "closed";
const EITHER = "either";

// name, bytes ("@" is a request target that answers 200), status or statuses, and what happens
// to the connection.
const HOST = "Host: festa.example\r\n";
const get = (line, rest = "") => `GET ${line}\r\n${HOST}${rest}\r\n`;
const field = (line) => `GET @ HTTP/1.1\r\n${HOST}${line}\r\n\r\n`;
const host = (line) => `GET @ HTTP/1.1\r\n${line}\r\n`;
const post = (fields, body = "") => `POST @ HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;

const TABLE = {
  "what is right": [
    ["a plain request", get("@ HTTP/1.1"), 200, OPEN],
    ["a query", get("@?a=b&c HTTP/1.1"), 200, OPEN],
    ["a query with characters that others escape", get("@?a=[1]|{2} HTTP/1.1"), [200, 400], EITHER],
    ["an absolute form", get("http://festa.example@ HTTP/1.1"), 200, OPEN],
    ["an absolute form with a port", get("http://festa.example:80@ HTTP/1.1"), 200, OPEN],
    ["an absolute form in upper case", get("HTTP://FESTA.EXAMPLE@ HTTP/1.1"), 200, OPEN],
    ["an absolute form without a path", get("http://festa.example HTTP/1.1"), 404, OPEN],
    ["an absolute form whose host is another than Host's", get("http://other.example@ HTTP/1.1"), 200, OPEN],
    ["one empty line before", `\r\n${get("@ HTTP/1.1")}`, 200, OPEN],
    ["an empty value", field("X:"), 200, OPEN],
    ["blanks around a value", field("X: \t a b \t "), 200, OPEN],
    ["no blank before a value", field("X:a"), 200, OPEN],
    ["a tab in a value", field("X: a\tb"), 200, OPEN],
    ["bytes over 127 in a value", field("X: \xe4\xff\x80"), 200, OPEN],
    ["all characters of a token in a name", field("!#$%&'*+-.^_`|~09azAZ: x"), 200, OPEN],
    ["a field that is there twice", field("X: 1\r\nX: 2"), 200, OPEN],
    ["Connection: keep-alive", field("Connection: keep-alive"), 200, OPEN],
    ["Connection: close", field("Connection: close"), 200, CLOSED],
    ["Content-Length: 0", post("Content-Length: 0\r\n"), 200, OPEN],
    ["a body", post("Content-Length: 5\r\n", "hello"), 200, OPEN],
    ["a chunked body", post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), 200, OPEN],
    ["POST without a body", post(""), 200, OPEN],
    ["DELETE with a body", "DELETE @ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", 200, OPEN],
    ["PUT", "PUT @ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", 200, OPEN],
    ["PATCH", "PATCH @ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", 200, OPEN],
    ["OPTIONS", "OPTIONS @ HTTP/1.1\r\nHost: x\r\n\r\n", 200, OPEN],
    ["HTTP/1.0", "GET @ HTTP/1.0\r\n\r\n", 200, CLOSED],
    ["HTTP/1.0 with a Host", "GET @ HTTP/1.0\r\nHost: x\r\n\r\n", 200, CLOSED],
    ["HTTP/1.0 with a body", "POST @ HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", 200, CLOSED],
    ["HTTP/1.0 with keep-alive", "GET @ HTTP/1.0\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n", 200, OPEN],
  ],

  "the version": [
    ["HTTP/1.2", get("@ HTTP/1.2"), 505, CLOSED],
    ["HTTP/1.9", get("@ HTTP/1.9"), 505, CLOSED],
    ["HTTP/0.9", get("@ HTTP/0.9"), 505, CLOSED],
    ["HTTP/2.0", get("@ HTTP/2.0"), 505, CLOSED],
    ["HTTP/3.0", get("@ HTTP/3.0"), 505, CLOSED],
    ["HTTP/9.9", get("@ HTTP/9.9"), 505, CLOSED],
    ["a preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400, 501, 505], CLOSED],
    ["none at all", "GET @\r\n\r\n", 400, CLOSED],
    ["none, with fields", `GET @\r\n${HOST}\r\n`, 400, CLOSED],
    ["HTTP/1.10", get("@ HTTP/1.10"), 400, CLOSED],
    ["HTTP/11", get("@ HTTP/11"), 400, CLOSED],
    ["HTTP/1", get("@ HTTP/1"), 400, CLOSED],
    ["HTTP/2", get("@ HTTP/2"), [400, 505], CLOSED],
    ["HTTP/1.", get("@ HTTP/1."), 400, CLOSED],
    ["HTTP/.1", get("@ HTTP/.1"), 400, CLOSED],
    ["HTTP/1.1x", get("@ HTTP/1.1x"), 400, CLOSED],
    ["HTTP/1,1", get("@ HTTP/1,1"), 400, CLOSED],
    ["HTTP 1.1", get("@ HTTP 1.1"), 400, CLOSED],
    ["http/1.1", get("@ http/1.1"), 400, CLOSED],
    ["HTTPS/1.1", get("@ HTTPS/1.1"), 400, CLOSED],
    ["RTSP/1.0", get("@ RTSP/1.0"), [400, 505], CLOSED],
    ["ICE/1.0", "SOURCE @ ICE/1.0\r\nHost: x\r\n\r\n", [400, 501, 505], CLOSED],
  ],

  "the method": [
    ["unknown", "FOO @ HTTP/1.1\r\nHost: x\r\n\r\n", 501, CLOSED],
    ["unknown, with all characters of a token", "!#$%&'*+-.^_`|~09azAZ @ HTTP/1.1\r\nHost: x\r\n\r\n", 501, CLOSED],
    ["unknown and long", `${"M".repeat(300)} @ HTTP/1.1\r\nHost: x\r\n\r\n`, [400, 414, 501], CLOSED],
    ["in lower case", "get @ HTTP/1.1\r\nHost: x\r\n\r\n", 501, CLOSED],
    ["one letter more", "GETX @ HTTP/1.1\r\nHost: x\r\n\r\n", 501, CLOSED],
    ["one letter less", "GE @ HTTP/1.1\r\nHost: x\r\n\r\n", 501, CLOSED],
    ["of WebDAV", "PROPFIND @ HTTP/1.1\r\nHost: x\r\n\r\n", 501, CLOSED],
    ["of UPnP", "M-SEARCH * HTTP/1.1\r\nHost: x\r\n\r\n", [400, 501], CLOSED],
    ["DESCRIBE of RTSP", "DESCRIBE @ HTTP/1.1\r\nHost: x\r\n\r\n", 501, CLOSED],
    ["PLAY of RTSP", "PLAY @ HTTP/1.1\r\nHost: x\r\n\r\n", 501, CLOSED],
    ["SETUP of RTSP", "SETUP @ HTTP/1.1\r\nHost: x\r\n\r\n", 501, CLOSED],
    ["SOURCE of ICE", "SOURCE @ HTTP/1.1\r\nHost: x\r\n\r\n", 501, CLOSED],
    ["TRACE", "TRACE @ HTTP/1.1\r\nHost: x\r\n\r\n", [405, 501], EITHER],
    ["TRACE of the server", "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", [405, 501], EITHER],
    ["CONNECT", "CONNECT festa.example:80 HTTP/1.1\r\nHost: festa.example:80\r\n\r\n", [400, 405, 501], CLOSED],
    ["CONNECT to a path", "CONNECT @ HTTP/1.1\r\nHost: x\r\n\r\n", [400, 405, 501], CLOSED],
    ["none", " @ HTTP/1.1\r\nHost: x\r\n\r\n", 400, CLOSED],
    ["with a character that is in no token", "G(T @ HTTP/1.1\r\nHost: x\r\n\r\n", 400, CLOSED],
    ["with a byte over 127", "G\xc3\xa9T @ HTTP/1.1\r\nHost: x\r\n\r\n", 400, CLOSED],
    ["with a NUL", "G\x00T @ HTTP/1.1\r\nHost: x\r\n\r\n", 400, CLOSED],
    ["with a colon", "GET: @ HTTP/1.1\r\nHost: x\r\n\r\n", 400, CLOSED],
  ],

  "the target": [
    ["GET *", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400, CLOSED],
    ["POST *", "POST * HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 400, CLOSED],
    ["OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", [200, 204], OPEN],
    ["OPTIONS *x", "OPTIONS *x HTTP/1.1\r\nHost: x\r\n\r\n", 400, CLOSED],
    ["none", "GET  HTTP/1.1\r\nHost: x\r\n\r\n", 400, CLOSED],
    ["neither a path nor a URL", get("foo HTTP/1.1"), 400, CLOSED],
    ["a host and port", get("festa.example:80 HTTP/1.1"), 400, CLOSED],
    ["with a blank", get("@?a b HTTP/1.1"), 400, CLOSED],
    ["with a tab", get("@?a\tb HTTP/1.1"), 400, CLOSED],
    ["with a NUL", get("@?a\x00b HTTP/1.1"), 400, CLOSED],
    ["with a control character", get("@?a\x01b HTTP/1.1"), 400, CLOSED],
    ["with DEL", get("@?a\x7fb HTTP/1.1"), 400, CLOSED],
    ["with raw UTF-8", get("@?a\xc3\xbcb HTTP/1.1"), 400, CLOSED],
    ["with a byte over 127 in the path", get("/parties/main/\xff HTTP/1.1"), 400, CLOSED],
    ["with CR", get("@?a\rb HTTP/1.1"), 400, CLOSED],
    ["with a fragment", get("@#fragment HTTP/1.1"), [200, 400], EITHER],
    ["an absolute form without a host", get("http:///parties/main/R HTTP/1.1"), 400, CLOSED],
    ["an absolute form with user and password", get("http://user:secret@festa.example@ HTTP/1.1"), [200, 400], EITHER],
  ],

  "the request line": [
    ["two blanks before the target", get(" @ HTTP/1.1"), 400, CLOSED],
    ["two blanks before the version", get("@  HTTP/1.1"), 400, CLOSED],
    ["a tab before the target", `GET\t@ HTTP/1.1\r\n${HOST}\r\n`, 400, CLOSED],
    ["a tab before the version", get("@\tHTTP/1.1"), 400, CLOSED],
    ["a blank behind the version", get("@ HTTP/1.1 "), 400, CLOSED],
    ["a blank before the method", ` ${get("@ HTTP/1.1")}`, 400, CLOSED],
    ["a blank line before the method", ` \r\n${get("@ HTTP/1.1")}`, 400, CLOSED],
    ["garbage", "garbage\r\n\r\n", 400, CLOSED],
    ["binary garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, CLOSED],
    ["only a colon", ":\r\n\r\n", 400, CLOSED],
    ["LF alone behind it", `GET @ HTTP/1.1\n${HOST}\r\n`, 400, CLOSED],
    ["CR alone behind it", `GET @ HTTP/1.1\r${HOST}\r\n`, 400, CLOSED],
    ["CR CR LF behind it", `GET @ HTTP/1.1\r\r\n${HOST}\r\n`, 400, CLOSED],
  ],

  Host: [
    ["none", host(""), 400, CLOSED],
    ["twice", host("Host: a\r\nHost: b\r\n"), 400, CLOSED],
    ["twice the same", host("Host: a\r\nHost: a\r\n"), 400, CLOSED],
    ["twice in different cases", host("Host: a\r\nhOST: a\r\n"), 400, CLOSED],
    ["twice in HTTP/1.0", "GET @ HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400, CLOSED],
    ["invalid in HTTP/1.0", "GET @ HTTP/1.0\r\nHost: a b\r\n\r\n", 400, CLOSED],
    ["in lower case", host("host: a\r\n"), 200, OPEN],
    ["with a port", host("Host: a:1999\r\n"), 200, OPEN],
    ["with an empty port", host("Host: a:\r\n"), 200, OPEN],
    ["an address", host("Host: 127.0.0.1:80\r\n"), 200, OPEN],
    ["an address of IPv6", host("Host: [::1]:80\r\n"), 200, OPEN],
    ["an address of IPv6 without a port", host("Host: [2001:db8::1]\r\n"), 200, OPEN],
    ["with a dot at the end", host("Host: a.example.\r\n"), 200, OPEN],
    ["with an underscore", host("Host: a_b\r\n"), 200, OPEN],
    ["empty", host("Host:\r\n"), [200, 400], EITHER],
    ["only a port", host("Host: :80\r\n"), [200, 400], EITHER],
    ["with a blank", host("Host: a b\r\n"), 400, CLOSED],
    ["with a tab", host("Host: a\tb\r\n"), 400, CLOSED],
    ["with a path", host("Host: a/b\r\n"), 400, CLOSED],
    ["with a scheme", host("Host: http://a\r\n"), 400, CLOSED],
    ["with a user", host("Host: u\x40a\r\n"), 400, CLOSED],
    ["with a query", host("Host: a?b\r\n"), 400, CLOSED],
    ["with a fragment", host("Host: a#b\r\n"), 400, CLOSED],
    ["with a port that is no number", host("Host: a:b\r\n"), 400, CLOSED],
    ["with two ports", host("Host: a:1:2\r\n"), 400, CLOSED],
    ["an address of IPv6 without brackets", host("Host: ::1\r\n"), 400, CLOSED],
    ["half a bracket", host("Host: [::1\r\n"), 400, CLOSED],
    ["the other half", host("Host: ::1]\r\n"), 400, CLOSED],
    ["with a byte over 127", host("Host: a\xfc\r\n"), 400, CLOSED],
    ["with a backslash", host("Host: a\\b\r\n"), 400, CLOSED],
    ["with angle brackets", host("Host: <a>\r\n"), 400, CLOSED],
    ["with a wrong escape", host("Host: a%zz\r\n"), 400, CLOSED],
    ["folded", host("Host: a\r\n b\r\n"), 400, CLOSED],
    ["folded before its value", host("Host:\r\n a\r\n"), 400, CLOSED],
    ["missing beside an absolute form", "GET http://festa.example@ HTTP/1.1\r\n\r\n", 400, CLOSED],
    ["missing for OPTIONS *", "OPTIONS * HTTP/1.1\r\n\r\n", 400, CLOSED],
  ],

  "header lines": [
    ["a folded one", field("X: a\r\n b"), 400, CLOSED],
    ["one folded with a tab", field("X: a\r\n\tb"), 400, CLOSED],
    ["a folded one that is empty", field("X: a\r\n "), 400, CLOSED],
    ["a blank before the first", `GET @ HTTP/1.1\r\n Host: x\r\n\r\n`, 400, CLOSED],
    ["a blank before the colon", field("X : a"), 400, CLOSED],
    ["a tab before the colon", field("X\t: a"), 400, CLOSED],
    ["a blank before Host's colon", host("Host : a\r\n"), 400, CLOSED],
    ["an empty name", field(": a"), 400, CLOSED],
    ["no colon", field("X a"), 400, CLOSED],
    ["no colon and no value", field("X"), 400, CLOSED],
    ["a name with a blank", field("X y: a"), 400, CLOSED],
    ["a name with brackets", field("X(y): a"), 400, CLOSED],
    ["a name with a byte over 127", field("X\xfc: a"), 400, CLOSED],
    ["a name with a NUL", field("X\x00: a"), 400, CLOSED],
    ["a name with a slash", field("X/y: a"), 400, CLOSED],
    ["a value with a NUL", field("X: a\x00b"), 400, CLOSED],
    ["a value with a control character", field("X: a\x01b"), 400, CLOSED],
    ["a value with DEL", field("X: a\x7fb"), 400, CLOSED],
    ["a value with ESC", field("X: \x1b[31m"), 400, CLOSED],
    ["a value with CR", field("X: a\rb"), 400, CLOSED],
    ["a value with CR at its end", field("X: a\r"), 400, CLOSED],
    ["a value with LF", field("X: a\nY: b"), 400, CLOSED],
    ["LF alone at the end of one", `GET @ HTTP/1.1\r\n${HOST}X: a\n\r\n`, 400, CLOSED],
    ["LF alone everywhere", "GET @ HTTP/1.1\nHost: x\n\n", 400, CLOSED],
    ["LF alone at the end of the head", `GET @ HTTP/1.1\r\n${HOST}\n`, 400, CLOSED],
    ["LF LF at the end of the head", `GET @ HTTP/1.1\r\n${HOST}X: a\n\n`, 400, CLOSED],
    ["CR alone at the end of one", `GET @ HTTP/1.1\r\n${HOST}X: a\rY: b\r\n\r\n`, 400, CLOSED],
    ["CR at the end of the head", `GET @ HTTP/1.1\r\n${HOST}\rGET / HTTP/1.1\r\n\r\n`, 400, CLOSED],
    ["CR CR LF at the end of the head", `GET @ HTTP/1.1\r\n${HOST}\r\r\n`, 400, CLOSED],
  ],

  "the length of the body": [
    ["two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400, CLOSED],
    ["two lengths that agree", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400, CLOSED],
    ["two lengths in a list", post("Content-Length: 5, 6\r\n", "hello"), 400, CLOSED],
    ["two lengths in a list that agree", post("Content-Length: 5, 5\r\n", "hello"), 400, CLOSED],
    ["an empty length", post("Content-Length:\r\n", "hello"), 400, CLOSED],
    ["a negative length", post("Content-Length: -5\r\n", "hello"), 400, CLOSED],
    ["a length with a plus", post("Content-Length: +5\r\n", "hello"), 400, CLOSED],
    ["a length with a blank", post("Content-Length: 5 5\r\n", "hello"), 400, CLOSED],
    ["a length in hex", post("Content-Length: 0x5\r\n", "hello"), 400, CLOSED],
    ["a length with letters", post("Content-Length: 5a\r\n", "hello"), 400, CLOSED],
    ["a length with a point", post("Content-Length: 5.0\r\n", "hello"), 400, CLOSED],
    ["a length that fits no number", post(`Content-Length: ${"9".repeat(40)}\r\n`, "hello"), [400, 413], CLOSED],
    ["a length of 2^64", post("Content-Length: 18446744073709551616\r\n", "hello"), [400, 413], CLOSED],
    ["a length of 2^64 - 1", post("Content-Length: 18446744073709551615\r\n", "hello"), [400, 413], CLOSED],
    ["a length folded", post("Content-Length:\r\n 5\r\n", "hello"), 400, CLOSED],
    ["a blank before the colon", post("Content-Length : 5\r\n", "hello"), 400, CLOSED],
    ["a length and a coding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, CLOSED],
    ["a coding and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400, CLOSED],
    ["a coding and a length of 0", post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "0\r\n\r\n"), 400, CLOSED],
    ["gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), [400, 501], CLOSED],
    ["gzip and chunked on two lines", post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), [400, 501], CLOSED],
    ["chunked, chunked", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400, CLOSED],
    ["chunked on two lines", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, CLOSED],
    ["chunked, gzip", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), 400, CLOSED],
    ["chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 400, CLOSED],
    ["identity", post("Transfer-Encoding: identity\r\n", "0\r\n\r\n"), [400, 501], CLOSED],
    ["gzip", post("Transfer-Encoding: gzip\r\n", "0\r\n\r\n"), [400, 501], CLOSED],
    ["a coding with another name", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), [400, 501], CLOSED],
    ["chunked with a parameter", post("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n"), [400, 501], CLOSED],
    ["chunked in quotes", post('Transfer-Encoding: "chunked"\r\n', "0\r\n\r\n"), [400, 501], CLOSED],
    ["chunked behind a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 400, CLOSED],
    ["chunked in an empty list", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), 400, CLOSED],
    ["a coding in HTTP/1.0", "POST @ HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, CLOSED],
    ["a coding in HTTP/1.0 with keep-alive", "POST @ HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, CLOSED],
    ["a coding folded", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400, CLOSED],
    ["a blank before the coding's colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400, CLOSED],
    ["a coding for GET", `GET @ HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 200, OPEN],
  ],

  "the status of an application's refusals": [
    ["an unknown party", get("/parties/nope/R HTTP/1.1"), 404, OPEN],
    ["no room", get("/parties/main HTTP/1.1"), 404, OPEN],
    ["nothing", get("/ HTTP/1.1"), 404, OPEN],
  ],
};

describe("raw requests", () => {
  const server = serverForSuite({ "parties/main.lua": MIRROR });
  // "@" stands for the target; a literal one is written \x40 in a Host and never meant in a target
  const bytesOf = (text) => Buffer.from(text.replace(/@(?=[\s?#]|$)/g, "/parties/main/R"), "latin1");

  async function check(connection, statuses, then) {
    const response = await connection.response();
    assert.ok([statuses].flat().includes(response.status), `${response.status} instead of ${statuses}: ${response.text}`);
    if (response.status === 405) assert.ok(response.header("allow") !== undefined, "Allow with 405");
    const goesOn = !response.closes;
    if (then !== EITHER) assert.equal(goesOn ? OPEN : CLOSED, then, "what Connection says");
    if (goesOn) {
      connection.send({ path: "/parties/main/R?n=next" });
      assert.equal((await connection.response()).text, "GET next 0 []", "the next request");
      connection.destroy();
    } else {
      await connection.closesSilently();
    }
  }

  for (const [subject, rows] of Object.entries(TABLE)) {
    describe(subject, () => {
      for (const [name, text, statuses, then] of rows) {
        it(name, async () => {
          const bytes = bytesOf(text);
          const whole = await server.connect();
          whole.write(bytes);
          await check(whole, statuses, then);

          const byByte = await server.connect();
          await byByte.drip(bytes);
          await check(byByte, statuses, then);
        });
      }
    });
  }

  it("the table is all there", () => {
    const rows = Object.values(TABLE).flat();
    assert.ok(rows.length > 150, `${rows.length} rows`);
    for (const row of rows) assert.equal(row.length, 4, row[0]);
  });

  it("what follows a refused request is dropped", async () => {
    for (const rows of Object.values(TABLE)) {
      for (const [name, text, , then] of rows.filter((row) => row[3] === CLOSED)) {
        const connection = await server.connect();
        connection.write(Buffer.concat([bytesOf(text), bytesOf(get("@?n=smuggled HTTP/1.1"))]));
        await connection.response();
        const how = await connection.closed();
        assert.equal(connection.buffer.toString("latin1"), "", `${name}: ${how} ${then}`);
      }
    }
  });

  it("each answer has a Date, and none a body for HEAD", async () => {
    const response = await server.request("/parties/main/R", { method: "HEAD" });
    assert.match(response.header("date"), /GMT$/);
    const seconds = Math.abs(Date.parse(response.header("date")) - Date.now()) / 1000;
    assert.ok(seconds < 120, `Date is ${seconds} s off`);
  });
});
