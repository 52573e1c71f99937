// A client on epoxy-tls: node epoxy.mjs MODULES URL HOST PORT
// Sends its standard input on one stream, and prints as many bytes as come back. (When the server closes a stream, this
// client drops what it has not read yet.)
import { readFileSync } from "node:fs";

const [, , modules, url, host, port] = process.argv;
// What browsers have and node has not: WebSocket, and a page whose address a Request can be relative to.
globalThis.WebSocket = (await import(`${modules}/ws/wrapper.mjs`)).default;
globalThis.Request = class extends Request {
  constructor(address, options) {
    super(address || "http://page.example/", options);
  }
};
const epoxy = await import(`${modules}/@mercuryworkshop/epoxy-tls/minimal/epoxy-bundled.js`);
const PIECE = 16384;
const input = readFileSync(0);

await epoxy.default();
const options = new epoxy.EpoxyClientOptions();
options.wisp_v2 = true;
const stream = await new epoxy.EpoxyClient(url, options).connect_tcp(`${host}:${port}`);
const writer = stream.write.getWriter();
const written = (async () => {
  for (let at = 0; at < input.length; at += PIECE)
    await writer.write(input.subarray(at, at + PIECE));
})();
let left = input.length;
for await (const data of stream.read) {
  process.stdout.write(data);
  left -= data.length;
  if (left <= 0)
    break;
}
await written;
process.stdout.write("", () => process.exit());
