// A disk whose power can be cut: ext4 on a file. What the kernel had not been told to flush is gone then.
//
// Only for a process in mount and process namespaces of its own: whatever ends it, the kernel unmounts the disk and
// gives the loop device back.

import { execFileSync } from "node:child_process";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const BYTES = 256 * 1024 * 1024;

// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH. perl is on every Debian; Node has no ioctl.
const CUT = 'my $how = pack("L", 2); open(my $f, "<", $ARGV[0]) or die $!; ioctl($f, 0x8004587d, $how) or die $!;';

export class Disk {
  #mounted = false;

  // In a folder that is there. Throws where the machine does not allow it.
  constructor(folder) {
    this.file = join(folder, "disk");
    this.path = join(folder, "mounted");
    writeFileSync(this.file, "");
    truncateSync(this.file, BYTES);
    mkdirSync(this.path);
    execFileSync("mkfs.ext4", ["-q", this.file], { stdio: "pipe" });
    this.mount();
  }

  mount() {
    execFileSync("mount", ["-t", "ext4", "-o", "loop", this.file, this.path], { stdio: "pipe" });
    this.#mounted = true;
  }

  cut() {
    execFileSync("perl", ["-e", CUT, this.path], { stdio: "pipe" });
  }

  // Nothing of it may be open.
  unmount() {
    if (!this.#mounted) return;
    execFileSync("umount", [this.path], { stdio: "pipe" });
    this.#mounted = false;
  }
}
