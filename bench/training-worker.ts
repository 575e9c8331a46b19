// Makes a training set, or a model of one, in a process of its own, so that its memory is that of nothing else.

import { once } from 'node:events';
import pg from 'pg';
import { writeTrainingSet } from '../pipelines/training/parquet.ts';
import { openTrainingFile } from '../pipelines/training/read.ts';
import { train } from '../pipelines/training/train.ts';
import { trainingExamples } from '../pipelines/training-set.ts';
import { openDatabase } from '../platform/database.ts';
import { answerTasks } from './processes.ts';

/** `copy`: Postgres hands out all events of these people in order, and nobody looks at them. */
export type Work = 'copy' | 'build' | 'linear' | 'logistic';

export interface TrainingTask {
  readonly work: Work;
  readonly path: string;
  readonly events: number;
  /** Shares of the rows after which the memory is looked at. */
  readonly lookAt: readonly number[];
}

export interface TrainingFigures {
  readonly events: number;
  readonly rows: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Of the process, at each share. */
  readonly memoryMib: readonly number[];
  readonly peakMib: number;
}

const url = process.env.DATABASE_URL ?? '';

answerTasks<TrainingTask, TrainingFigures>(async ({ work, path, events, lookAt }) => {
  const memoryMib: number[] = [];
  const rowsExpected = events / 3;
  let rows = 0;
  const look = (more: number) => {
    rows += more;
    while (memoryMib.length < lookAt.length && rows >= (lookAt[memoryMib.length] ?? 1) * rowsExpected)
      memoryMib.push(Math.round(process.memoryUsage.rss() / 2 ** 20));
  };
  const startedAt = performance.now();
  const before = process.cpuUsage();
  const bytes = await doIt(work, path, look);
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - startedAt) / 1000;
  const peakMib = Math.round(process.resourceUsage().maxRSS / 1024);
  return { events, rows, bytes, seconds, cpuSeconds: (user + system) / 1e6, memoryMib, peakMib };
});

async function doIt(work: Work, path: string, look: (rows: number) => void): Promise<number> {
  if (work === 'copy') return copyOut();
  if (work === 'build') {
    const database = openDatabase({ url, applicationName: 'oo-bench-training', maxConnections: 2 });
    const written = await writeTrainingSet(trainingExamples(database), { path, onRowGroup: look });
    await database.end();
    return written.bytes;
  }
  const { rows, text } = await train(await openTrainingFile(path), work);
  look(rows.read);
  return text.length;
}

async function copyOut(): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  let bytes = 0;
  const select = 'SELECT user_id, event_id, transaction_id, received_at, schema_version, envelope FROM events';
  const query = new CopyOut(`COPY (${select} ORDER BY user_id, event_id) TO STDOUT (FORMAT binary)`, (chunk) => {
    bytes += chunk.length;
  });
  await once(client.query(query), 'end');
  await client.end();
  return bytes;
}

/** The client library speaks COPY but leaves it to its users to say where the bytes go. */
class CopyOut extends pg.Query {
  readonly #take: (chunk: Uint8Array) => void;

  constructor(text: string, take: (chunk: Uint8Array) => void) {
    super(text);
    this.#take = take;
  }

  handleCopyOutResponse(): void {}
  handleCopyData({ chunk }: { readonly chunk: Uint8Array }): void {
    this.#take(chunk);
  }
}
