// A language model server for tests that can misbehave in all the ways that real ones do.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Behaviour = (response: ServerResponse) => void;

export interface UnrulyLlm extends AsyncDisposable {
  readonly baseUrl: string;
  /** What was asked so far. */
  readonly requests: readonly {
    readonly method: string;
    readonly url: string;
    readonly headers: IncomingHttpHeaders;
    readonly body: unknown;
  }[];
  /** How many connections were opened so far. */
  connections(): number;
  /** How many answers are neither complete nor given up by who asked. */
  openAnswers(): number;
}

/** Starts a server that treats each request as the next behaviour says; the last one stays. */
export async function startUnrulyLlm(...behaviours: readonly Behaviour[]): Promise<UnrulyLlm> {
  const requests: UnrulyLlm['requests'][number][] = [];
  let open = 0;
  let connections = 0;
  const server = createServer(async (request, response) => {
    open++;
    response.on('error', () => undefined);
    response.on('close', () => open--);
    const chunks = await request.toArray();
    const behave = behaviours[Math.min(requests.length, behaviours.length - 1)];
    requests.push({
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: JSON.parse(Buffer.concat(chunks).toString()),
    });
    behave?.(response);
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    requests,
    connections: () => connections,
    openAnswers: () => open,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A chat completion with this text as the model's answer. */
export function completion(text: string, choice: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    model: 'unruly-1',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: text }, ...choice }],
    usage: { prompt_tokens: 321, completion_tokens: 54 },
  });
}

/** An event of a stream, with this text as the next of the model's answer. */
export function chunk(text: string, over: Readonly<Record<string, unknown>> = {}): string {
  const choices = [{ index: 0, delta: { content: text }, finish_reason: null }];
  return `data: ${JSON.stringify({ model: 'unruly-1', choices, usage: null, ...over })}\n\n`;
}

/** The events with which a stream ends: why, what it cost, and the mark. */
export function finale(finishReason = 'stop'): string {
  const usage = { prompt_tokens: 321, completion_tokens: 54 };
  const finish = chunk('', { choices: [{ index: 0, delta: {}, finish_reason: finishReason }] });
  return `${finish}${chunk('', { choices: [], usage })}data: [DONE]\n\n`;
}

/** Sends one part after the other, each once the one before is on its way, and ends unless the last one is a behaviour. */
export function streams(...parts: readonly (string | Uint8Array | Promise<unknown> | Behaviour)[]): Behaviour {
  return async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    for (const part of parts) {
      if (typeof part === 'function') return part(response);
      if (part instanceof Promise) await part;
      else await new Promise<void>((resolve) => response.write(part, () => resolve()));
    }
    response.end();
  };
}

export function sends(body: string, contentType = 'application/json; charset=utf-8'): Behaviour {
  return (response) => response.writeHead(200, { 'content-type': contentType }).end(body);
}

export function says(text: string): Behaviour {
  return sends(completion(text));
}

export function fails(status: number, headers: Readonly<Record<string, string>> = {}): Behaviour {
  return (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end('{"error":{}}');
}

/** Promises more bytes than it sends, then closes the connection. */
export function truncates(body: string): Behaviour {
  return (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.write(body.slice(0, body.length / 2), () => response.destroy());
  };
}

/** Says that its answer has other than as many bytes as it has. */
export function miscounts(body: string, by: number): Behaviour {
  return (response) => {
    const bytes = Buffer.from(body);
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${bytes.length + by}\r\n\r\n`;
    response.socket?.write(Buffer.concat([Buffer.from(head), bytes]), () => response.destroy());
  };
}

/** Says that these bytes are a zipped answer. */
export function sendsZipped(bytes: Uint8Array): Behaviour {
  return (response) =>
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(bytes);
}

/** Sends one byte after the other, never all of them. */
export function trickles(body: string): Behaviour {
  return (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    let at = 0;
    const timer = setInterval(() => response.write(body[at++ % (body.length - 1)] ?? ''), 20);
    response.on('close', () => clearInterval(timer));
  };
}

/** Goes on with this text again and again, never at an end. */
export function writesOnSlowly(text: string): Behaviour {
  return (response) => {
    const timer = setInterval(() => response.write(text), 20);
    response.on('close', () => clearInterval(timer));
  };
}

/** Takes the request and says nothing. */
export const hangs: Behaviour = () => undefined;

export const resets: Behaviour = (response) => {
  response.socket?.resetAndDestroy();
};

/** Sends without end, as fast as it is read. */
export function floodsWith(status: number): Behaviour {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    writesOn(' ')(response);
  };
}

/** Goes on with this text without end, as fast as it is read. */
export function writesOn(text: string): Behaviour {
  return (response) => {
    const chunk = Buffer.alloc(65_536, text);
    const more = () => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', more);
    more();
  };
}

export const floods = floodsWith(200);

/** Answers as a behaviour does, but later. */
export function late(ms: number, behave: Behaviour): Behaviour {
  return (response) => {
    const timer = setTimeout(() => behave(response), ms);
    response.on('close', () => clearTimeout(timer));
  };
}
