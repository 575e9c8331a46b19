// A language model for measuring: it answers every question with the same tips, after as many milliseconds as its path
// says (`/250/v1/chat/completions`), or never (`/never/v1/…`).

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerTasks } from './processes.ts';

export type LlmTask = { readonly tips: string } | 'last-question';
export interface LlmAddress {
  readonly url: string;
}

let lastQuestion = '';

answerTasks<LlmTask, LlmAddress | string>((task) => (task === 'last-question' ? lastQuestion : start(task.tips)));

function start(tips: string): Promise<LlmAddress> {
  const body = Buffer.from(
    JSON.stringify({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1_700_000_000,
      model: 'bench-1',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: tips } }],
      usage: { prompt_tokens: 900, completion_tokens: 120, total_tokens: 1020 },
    }),
  );
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const chunks: Buffer[] = [];
    response.on('error', () => {}); // who asked may have left
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      lastQuestion = Buffer.concat(chunks).toString();
      const delay = /^\/(\d+|never)\//.exec(request.url ?? '')?.[1] ?? '0';
      const answer = () => response.writeHead(200, headers).end(body);
      if (delay === '0') answer();
      else if (delay !== 'never') setTimeout(answer, Number(delay));
    });
  });
  return new Promise((resolve) => {
    server.listen({ port: 0, host: '127.0.0.1', backlog: 2048 }, () =>
      resolve({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
    );
  });
}
