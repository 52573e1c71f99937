// A client on wisp-js: node wisp_js.mjs MODULES URL HOST PORT
// Sends its standard input on one stream, and prints what comes, until the server closes it.
import { readFileSync } from "node:fs";

const [, , modules, url, host, port] = process.argv;
const { client } = await import(`${modules}/@mercuryworkshop/wisp-js/src/entrypoints/client.mjs`);
const PIECE = 16384;
const input = readFileSync(0);
const connection = new client.ClientConnection(url, { wisp_version: 2 });

connection.onopen = () => {
  const stream = connection.create_stream(host, Number(port));
  stream.onmessage = (data) => process.stdout.write(data);
  stream.onclose = (reason) => {
    process.stderr.write(`closed, reason ${reason}\n`);
    connection.close();
  };
  for (let at = 0; at < input.length; at += PIECE)
    stream.send(input.subarray(at, at + PIECE));
};
