// The crash test on a disk whose power is cut. A program: node power.mjs FOLDER ROUNDS SEED, which prints lines of how
// it goes; exit code 77 says that this machine has no such disks. crash.test.mjs runs it in namespaces of its own, and
// removes the folder.

import { join } from "node:path";

import { writeProject } from "../project.mjs";
import { Disk } from "./disk.mjs";
import { FILES } from "./party.mjs";
import { crashRounds } from "./run.mjs";

const CANNOT = 77;
const [folder, ...numbers] = process.argv.slice(2);
const [rounds, seed] = numbers.map(Number);

function makeDisk() {
  try {
    const disk = new Disk(folder);
    disk.cut();
    disk.unmount();
    disk.mount();
    return disk;
  } catch (error) {
    console.log(String(error.stderr ?? "").trim() || error.message);
    return undefined;
  }
}

async function main() {
  const disk = makeDisk();
  if (!disk) return CANNOT;
  const project = await writeProject(FILES);
  project.data = join(disk.path, "data");
  // It stops with its disk. Otherwise it would be told now and then that a flush succeeded which was under way when the
  // disk went: ext4 looks whether the journal's transaction is over, and not whether it was written.
  const end = async (server) => {
    server.signal("SIGSTOP");
    disk.cut();
    server.kill();
    await server.ended();
  };
  const restore = async () => {
    disk.unmount();
    disk.mount();
  };
  try {
    await crashRounds({ project, rounds, seed, end, restore, say: (line) => console.log(line) });
    return 0;
  } finally {
    await project.remove();
    disk.unmount();
  }
}

process.exit(
  await main().catch((error) => {
    console.log(`${error.message}\n${error.stack}`);
    return 1;
  }),
);
