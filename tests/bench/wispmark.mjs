// WispMark's load with the client of wisp-js: streams to an echo that are written to without a pause.
//
//     node wispmark.mjs CLIENT-MODULE SERVER-PORT ECHO-PORT STREAMS
//
// It runs until it is killed. Who counts is the echo (tests/bench/load.c), which wants a head of 9 bytes.

import { pathToFileURL } from "node:url";

const [module, server, echo, streams] = process.argv.slice(2);
const { ClientConnection } = (await import(pathToFileURL(module))).client;

const WRITE = new Uint8Array(50 * 1024);
// What may wait, as WispMark has it: writes of a stream that is out of credit, and bytes of the WebSocket.
const WAITING_WRITES = 20;
const WAITING_BYTES = 5 << 20;
const WRITES_AT_ONCE = 10;

const connection = new ClientConnection(`ws://127.0.0.1:${server}/`);

function open() {
	const stream = connection.create_stream("127.0.0.1", Number(echo));
	const head = new Uint8Array(9);

	head[0] = "E".charCodeAt(0);
	stream.send(head);
	stream.onclose = fail;
	return stream;
}

// The client says neither when it has room again nor how much it has taken, so a timer looks.
function fill(stream) {
	if (stream.send_buffer.length >= WAITING_WRITES || connection.ws.bufferedAmount >= WAITING_BYTES)
		return;
	for (let i = 0; i < WRITES_AT_ONCE; i++)
		stream.send(WRITE);
}

function fail(reason) {
	console.error(`cut off: ${reason}`);
	process.exit(1);
}

connection.onclose = connection.onerror = fail;
connection.onopen = () => {
	console.log(`connected, wisp v${connection.wisp_version}`);
	for (let i = 0; i < Number(streams); i++)
		setInterval(fill, 1, open());
};
