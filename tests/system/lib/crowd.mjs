// Many clients with WebSockets or event streams of which nothing is asked but that they are there: all that they are
// sent is read and thrown away, or, of a deaf crowd, never read at all.

import net from "node:net";

import { requestBytes } from "./raw.mjs";
import { Changes, within } from "./wait.mjs";
import { frame, upgradeBytes } from "./websocket.mjs";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const AT_ONCE = 200; // handshakes under way

export class Member {
  status; // of the answer
  gone = false;
  received = 0; // bytes behind the answer's head, none of which is looked at
  changes = new Changes();

  constructor(socket) {
    this.socket = socket;
  }

  text(payload) {
    this.socket.write(frame({ payload }));
  }
}

function join(server, path, { deaf, streams }, localAddress) {
  return within(
    new Promise((done, failed) => {
      const socket = net.connect({ host: server.hostname, port: server.port, localAddress });
      const member = new Member(socket);
      let head = "";
      socket.setNoDelay(true);
      const { host } = server;
      const request = streams ? requestBytes({ host, path }) : upgradeBytes(host, path, { key: KEY });
      socket.on("connect", () => socket.write(request));
      socket.on("data", (data) => {
        if (member.status) {
          member.received += data.length;
          return member.changes.changed();
        }
        head += data.toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        member.received = head.length - end - 4;
        member.status = Number(head.slice(9, 12));
        if (deaf) socket.pause();
        done(member);
      });
      socket.on("error", (error) => (member.status ? undefined : failed(error)));
      socket.on("close", () => {
        member.gone = true;
        member.changes.changed();
        failed(new Error("closed before an answer"));
      });
    }),
    `an answer from ${path}`,
  );
}

// Opens n sockets, or streams, to the paths that pathOf(i) gives; all must open. sources: from so many addresses.
export async function openCrowd(server, n, pathOf, { deaf, streams, atOnce = AT_ONCE, sources = 1 } = {}) {
  const members = [];
  for (let i = 0; i < n; i += atOnce) {
    const some = Array.from({ length: Math.min(atOnce, n - i) }, (_, j) =>
      join(server, pathOf(i + j), { deaf, streams }, `127.0.0.${1 + ((i + j) % sources)}`),
    );
    members.push(...(await Promise.all(some)));
  }
  const refused = members.filter((member) => member.status !== (streams ? 200 : 101));
  if (refused.length) throw new Error(`${refused.length} of ${n} were answered with ${refused[0].status}`);
  return members;
}

export function closeCrowd(members) {
  for (const { socket } of members) socket.destroy();
}
