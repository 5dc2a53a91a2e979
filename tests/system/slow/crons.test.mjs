// A cron that comes each minute, by the real clock.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua } from "../lib/project.mjs";
import { serverFor } from "../lib/server.mjs";

const PARTY = lua`
local P = {}
function P:onCron(cron)
  log.info("cron", { cron = cron.name, schedule = cron.schedule, scheduled = cron.scheduledTime, at = now(),
                     self = self.name .. tostring(self.id) .. tostring(party.id) })
  if cron.name == "slow" then sleep(90000) end
end
return P
`;

describe("crons", () => {
  it("run once in their minute, on one thread", async (t) => {
    const server = await serverFor(
      t,
      { "parties/main.lua": PARTY, "festa.lua": config({ crons: { each: "* * * * *", slow: "*/1 * * * *", never: "0 0 29 2 *" } }) },
      { args: ["--threads", "2"] },
    );
    const second = await server.waitForLog(
      (line) => line.cron === "slow" && line.msg === "a cron is skipped: its run before is not over",
      "the second minute",
      { ms: 150_000 },
    );
    assert.equal(second.level, "warn");
    const runs = server.lines.filter(({ msg }) => msg === "cron");
    const each = runs.filter(({ cron }) => cron === "each");
    assert.equal(runs.filter(({ cron }) => cron === "slow").length, 1);
    assert.equal(runs.filter(({ cron }) => cron === "never").length, 0);
    assert.ok(each.length >= 1 && each.length <= 2);
    for (const { scheduled, at, schedule, self } of each) {
      assert.equal(scheduled % 60_000, 0);
      assert.ok(at >= scheduled && at - scheduled < 60_000, `${scheduled} ${at}`);
      assert.equal(schedule, "* * * * *");
      assert.equal(self, "mainnilnil");
    }
    assert.equal(new Set(each.map(({ scheduled }) => scheduled)).size, each.length);
    await server.stop(); // with a run that waits
  });
});
