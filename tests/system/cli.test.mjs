// The command line: commands, flags, exit codes, and one clear line for what is wrong.

import assert from "node:assert/strict";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";

import { MESSAGE_SERVER, MIRROR } from "./lib/parties.mjs";
import { config, lua, writeProject } from "./lib/project.mjs";
import { freePort, runFesta, serverFor } from "./lib/server.mjs";

// What is said on stderr, be it as text or as JSON lines; without lines that only inform.
function complaints(stderr) {
  return stderr
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      try {
        const { level, msg, ...fields } = JSON.parse(line);
        if (level === "info" || level === "debug") return undefined;
        delete fields.ts;
        return [msg, ...Object.values(fields)].join(" ");
      } catch {
        return line;
      }
    })
    .filter((line) => line !== undefined);
}

// Runs it; it must fail with this code and one line that fits all the patterns.
async function failsWithOneLine(args, code, patterns, options) {
  const result = await runFesta(args, options);
  const lines = complaints(result.stderr);
  assert.deepEqual([result.code, result.signal], [code, null], `festa ${args.join(" ")}: ${result.stderr}`);
  assert.equal(lines.length, 1, `festa ${args.join(" ")}:\n${lines.join("\n")}`);
  for (const pattern of [patterns].flat()) assert.match(lines[0], pattern);
  return lines[0];
}

const withProject = async (files, use) => {
  const project = await writeProject(files);
  try {
    await use(project);
  } finally {
    await project.remove();
  }
};

describe("commands", () => {
  it("help names the commands and the flags", async () => {
    const { code, stdout, stderr } = await runFesta(["help"]);
    assert.deepEqual([code, stderr], [0, ""]);
    for (const word of ["run", "check", "help", "version", "--port", "--host", "--threads", "--data", "--config", "--var", "--log-level", "--log-format"]) {
      assert.ok(stdout.includes(word), word);
    }
  });

  it("help of a command is what of it is about that command", async () => {
    const about = async (name) => {
      const { code, stdout, stderr } = await runFesta(["help", name]);
      assert.deepEqual([code, stderr], [0, ""]);
      return stdout;
    };
    const test = await about("test");
    assert.match(test, /^ {2}test \[DIR\] [^]*\noptions of run, dev, check and test\n[^]*--var [^]*\noptions of test\n {2}--filter [^]*\nexamples\n {2}festa test my-app [^\n]*\n$/);
    assert.doesNotMatch(test, /--template|storage|festa run|--port|--threads/);
    for (const args of [["test", "--help"], ["init", "--help"], ["storage", "--help"], ["storage", "get", "--help"]]) {
      const { code, stdout } = await runFesta(args);
      assert.deepEqual([code, stdout], [0, await about(args[0])]);
    }
    assert.match(await about("init"), /^ {2}init DIR [^\n]*\n\noptions of init and types\n[^]*\nexamples\n {2}festa init [^\n]*\n$/);
    assert.equal((await about("storage")).match(/^ {4}storage /gm).length, 6);
    assert.match(await about("version"), /^ {2}version [^\n]*\n$/);
    const unknown = await runFesta(["help", "tset"]);
    assert.deepEqual([unknown.code, unknown.stderr], [2, "festa: unknown command tset: did you mean test? (see festa help)\n"]);
  });

  it("version is a version", async () => {
    const { code, stdout, stderr } = await runFesta(["version"]);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /\b\d+\.\d+\.\d+/);
    assert.equal(stdout.trim().split("\n").length, 1);
  });

  it("check loads a project and says that it is well", async () => {
    await withProject({ "parties/main.lua": MESSAGE_SERVER, "parties/other/init.lua": MIRROR }, async ({ directory }) => {
      assert.equal((await runFesta(["check", directory])).code, 0);
      assert.equal((await runFesta(["check"], { cwd: directory })).code, 0, "the current folder is the default");
    });
  });

  it("check makes no data folder and needs no port", async () => {
    const occupied = net.createServer();
    await new Promise((done) => occupied.listen(0, "127.0.0.1", done));
    try {
      await withProject(
        { "parties/main.lua": MESSAGE_SERVER, "festa.lua": config({ port: occupied.address().port }) },
        async ({ directory }) => assert.equal((await runFesta(["check", directory])).code, 0),
      );
    } finally {
      occupied.close();
    }
  });

  it("what is no command is wrong usage", async () => {
    await failsWithOneLine(["serve"], 2, /serve/);
    const { code } = await runFesta(["--bogus"]);
    assert.equal(code, 2);
  });
});

describe("flags", () => {
  it("unknown or wrong ones are wrong usage", async () => {
    await withProject({ "parties/main.lua": MESSAGE_SERVER }, async ({ directory }) => {
      for (const [args, pattern] of [
        [["--bogus"], /--bogus/],
        [["--prot", "80"], /--prot/],
        [["--port"], /--port/],
        [["--port", "x"], /port/],
        [["--port", "-1"], /port/],
        [["--port", "65536"], /port/],
        [["--port", "80x"], /port/],
        [["--port", ""], /port/],
        [["--threads", "x"], /threads/],
        [["--threads", "-1"], /threads/],
        [["--log-level", "loud"], /loud|log-level/],
        [["--log-format", "xml"], /xml|log-format/],
        [["--var", "no-value"], /no-value|var/],
        [["--var"], /--var/],
        [["another", "folder"], /another|folder/],
      ]) {
        await failsWithOneLine(["run", directory, ...args], 2, pattern);
      }
      await failsWithOneLine(["check", directory, "--bogus"], 2, /--bogus/);
    });
  });

  it("--port=N and --port N, and the last one wins over festa.lua", async (t) => {
    const [inFile, inFlag] = [await freePort(), await freePort()];
    const server = await serverFor(
      t,
      { "parties/main.lua": MIRROR, "festa.lua": config({ port: inFile }) },
      { port: inFlag },
    );
    assert.equal(server.port, inFlag);
    assert.equal((await server.request("/party/r")).status, 200);
  });

  it("--config names another file than festa.lua", async (t) => {
    const server = await serverFor(
      t,
      {
        "parties/main.lua": `return { onRequest = function() return party.env.WHICH end }`,
        "festa.lua": config({ vars: { WHICH: "festa.lua" } }),
      },
      { args: ["--config", await otherConfig(t)] },
    );
    assert.equal(await server.text("/party/r"), "other");
    await withProject({ "parties/main.lua": MESSAGE_SERVER }, ({ directory }) =>
      failsWithOneLine(["run", directory, "--config", join(directory, "missing.lua")], 1, /missing\.lua/),
    );
  });

  async function otherConfig(t) {
    const project = await writeProject({ "other.lua": config({ vars: { WHICH: "other" } }) });
    t.after(project.remove);
    return join(project.directory, "other.lua");
  }

  it("--log-format text is for people", async () => {
    const port = await freePort();
    await withProject({ "parties/main.lua": MESSAGE_SERVER }, async ({ directory }) => {
      const blocker = net.createServer();
      await new Promise((done) => blocker.listen(port, "127.0.0.1", done));
      try {
        const { stderr } = await runFesta(["run", directory, "--port", String(port), "--log-format", "text"]);
        assert.throws(() => JSON.parse(stderr.trim().split("\n").pop()));
      } finally {
        blocker.close();
      }
    });
  });
});

describe("starts that fail", () => {
  it("the port is in use", async () => {
    const blocker = net.createServer();
    await new Promise((done) => blocker.listen(0, "127.0.0.1", done));
    const { port } = blocker.address();
    try {
      await withProject({ "parties/main.lua": MESSAGE_SERVER }, ({ directory }) =>
        failsWithOneLine(["run", directory, "--port", String(port)], 1, [new RegExp(String(port)), /use/i]),
      );
    } finally {
      blocker.close();
    }
  });

  it("the host is none of ours", () =>
    withProject({ "parties/main.lua": MESSAGE_SERVER }, async ({ directory }) => {
      const fails = (host, pattern) => failsWithOneLine(["run", directory, "--port", "0", "--host", host], 1, pattern);
      await fails("192.0.2.1", /192\.0\.2\.1/);
      await fails("[::1]", /"\[::1\]" is no address .*without brackets/);
    }));

  it("the folder is missing", () =>
    withProject({}, async ({ directory }) => {
      await failsWithOneLine(["run", join(directory, "missing")], 1, /missing/);
      await failsWithOneLine(["check", join(directory, "missing")], 1, /missing/);
    }));

  it("the folder is a file", () =>
    withProject({ file: "text" }, ({ directory }) => failsWithOneLine(["run", join(directory, "file")], 1, /file/)));

  it("the folder has no parties", async () => {
    await withProject({}, ({ directory }) => failsWithOneLine(["run", directory], 1, /part/));
    await withProject({ "parties/README.md": "none yet" }, ({ directory }) => failsWithOneLine(["run", directory], 1, /part/));
    await withProject({ "main.lua": MESSAGE_SERVER }, ({ directory }) => failsWithOneLine(["check", directory], 1, /part/));
  });

  it("the folder cannot be read", async (t) => {
    // root may read everything: then festa runs as somebody else
    const who = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {};
    const works = await runFesta(["version"], who).catch(() => undefined);
    if (works?.code !== 0) return t.skip("another user may not run festa here");
    const project = await writeProject({ "parties/main.lua": MESSAGE_SERVER, "closed/parties/main.lua": MESSAGE_SERVER });
    try {
      await chmod(project.root, 0o755);
      const closed = join(project.directory, "closed");
      for (const folder of [closed, join(closed, "parties")]) {
        await chmod(folder, 0o000);
        await failsWithOneLine(["run", closed, "--port", "0"], 1, [/closed/, /permission|denied|read/i], who);
        await chmod(folder, 0o755);
      }
      await chmod(join(closed, "parties/main.lua"), 0o000);
      await failsWithOneLine(["check", closed], 1, [/main\.lua/, /permission|denied|read/i], who);
    } finally {
      await project.remove();
    }
  });

  it("nothing of a failed start stays behind", async () => {
    await withProject({ "parties/main.lua": "return 5" }, async ({ directory, data }) => {
      const port = await freePort();
      assert.equal((await runFesta(["run", directory, "--port", String(port), "--data", data])).code, 1);
      await new Promise((done, failed) => {
        const server = net.createServer().on("error", failed);
        server.listen(port, "127.0.0.1", () => server.close(done));
      });
    });
  });
});

describe("folders", () => {
  it("a project needs a parties folder with one script, and may be anywhere", async (t) => {
    const server = await serverFor(t, { "parties/only.lua": MIRROR });
    assert.equal((await server.request("/parties/only/r")).status, 200);
    assert.equal((await server.request("/parties/main/r")).text, "Party main not found");
  });

  it("names with blanks and other letters are no trouble", async () => {
    await withProject({ "a b/zwei ü/parties/main.lua": MIRROR }, async ({ directory }) => {
      assert.equal((await runFesta(["check", join(directory, "a b/zwei ü")])).code, 0);
    });
  });

  it("files that are no parties are left alone", async (t) => {
    const project = await writeProject({
      "parties/main.lua": MIRROR,
      "parties/notes.txt": "no Lua",
      "parties/.hidden.lua": "no Lua either",
      "parties/folder/helper.lua": "this is no party, nor Lua",
      "lib/unused.lua": "nor is this",
      "public/index.html": "<p>",
      "tests/main_test.lua": "not run",
    });
    await mkdir(join(project.directory, "parties/empty"));
    await writeFile(join(project.directory, "parties/main.lua~"), "an editor's copy");
    t.after(project.remove);
    const server = await serverFor(t, undefined, { project });
    assert.equal((await server.request("/parties/main/r")).status, 200);
    for (const name of ["notes", "notes.txt", ".hidden", "folder", "empty", "main.lua", "main.lua~"]) {
      assert.equal((await server.request(`/parties/${name}/r`)).text, `Party ${name} not found`);
    }
  });
});

describe("variables", () => {
  const ENV = lua`
local Env = {}
function Env:onRequest(request)
  local seen = {}
  for name in request.query.names:gmatch("[^,]+") do seen[name] = party.env[name] or json.null end
  return json.object(seen)
end
return Env
`;

  it("configuration < .env < FESTA_VAR_* < --var", async (t) => {
    const server = await serverFor(
      t,
      {
        "parties/main.lua": ENV,
        "festa.lua": config({ vars: { A: "file", B: "file", C: "file", D: "file" } }),
        ".env": "B=dotenv\nC=dotenv\nD=dotenv\n",
      },
      {
        env: { FESTA_VAR_C: "environment", FESTA_VAR_D: "environment", FESTA_VAR_E: "environment", SECRET_OF_THE_HOST: "x" },
        args: ["--var", "D=flag", "--var", "F=flag", "--var", "G=a=b c", "--var=H=", "--var", "F=again"],
      },
    );
    assert.deepEqual(
      await server.json("/party/r?names=A,B,C,D,E,F,G,H,I,SECRET_OF_THE_HOST,FESTA_VAR_C,HOME,PATH"),
      {
        A: "file",
        B: "dotenv",
        C: "environment",
        D: "flag",
        E: "environment",
        F: "again",
        G: "a=b c",
        H: "",
        I: null,
        SECRET_OF_THE_HOST: null,
        FESTA_VAR_C: null,
        HOME: null,
        PATH: null,
      },
    );
  });

  it(".env: comments, quotes, blanks", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": ENV,
      ".env": [
        "# a comment",
        "",
        "PLAIN=value",
        "EMPTY=",
        'DOUBLE="two words"',
        "SINGLE='two words'",
        "EQUALS=a=b",
        "UTF=zwei ü",
        "  INDENTED=yes",
        "LAST=line",
      ].join("\n"),
    });
    assert.deepEqual(await server.json("/party/r?names=PLAIN,EMPTY,DOUBLE,SINGLE,EQUALS,UTF,INDENTED,LAST"), {
      PLAIN: "value",
      EMPTY: "",
      DOUBLE: "two words",
      SINGLE: "two words",
      EQUALS: "a=b",
      UTF: "zwei ü",
      INDENTED: "yes",
      LAST: "line",
    });
  });

  it("are only those of the project: a .env further up is not read", async (t) => {
    const project = await writeProject({ "parties/main.lua": ENV });
    t.after(project.remove);
    await writeFile(join(project.root, ".env"), "UP=wrong\n");
    const server = await serverFor(t, undefined, { project });
    assert.deepEqual(await server.json("/party/r?names=UP"), { UP: null });
  });
});
