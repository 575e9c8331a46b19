// Checks the README's first command as a newcomer meets it: `npm start` turns the loop; a second start reuses the data;
// a start after kill -9 of everything works; Ctrl-C leaves nothing running. Prints one line for each thing checked.
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../platform/embedded/free-port.ts';
import { waitFor } from './demo/wait-for.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Whatever a start leaves running carries this in its environment. */
const mark = `OO_CHECK_START=${randomUUID()}`;
const env = { ...process.env, PORT: String(await freePort()), FORCE_COLOR: '0', OO_CHECK_START: mark.split('=')[1] };
let passed = 0;

function check(what: string, isTrue: boolean, detail = ''): void {
  if (!isTrue) throw new Error(`${what}: not so\n${detail}`);
  passed++;
  process.stdout.write(`ok    ${what}\n`);
}

/** Runs `npm start` until it has nothing more to say. */
async function start() {
  const child = spawn('npm', ['start'], { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk;
    });
  }
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const isReady = async () => {
    if (child.exitCode !== null) throw new Error(`npm start ended with ${child.exitCode}:\n${output}`);
    return output.includes('Ctrl-C stops everything');
  };
  await waitFor('npm start to turn the loop', isReady, 180_000).catch((error: Error) => {
    throw new Error(`${error.message}\n${output}`);
  });
  const group = -(child.pid ?? 0);
  return { output, interrupt: () => process.kill(group, 'SIGINT'), kill: () => process.kill(group, 'SIGKILL'), ended };
}

/** Processes that a start has left. */
function running(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && environmentOf(pid).includes(`${mark}\0`));
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return ''; // it ended while we looked, or is somebody else's
  }
}

const run = promisify(execFile);

/** The command that explains the decision just made, run as printed. */
async function tryDecision(output: string): Promise<void> {
  const [command = 'false'] = /npm run decision -- \S+/.exec(output) ?? [];
  const explained = (await run('sh', ['-c', command], { cwd: root, env })).stdout;
  check(
    'npm run decision explains the decision, from a database that nobody has stopped',
    explained.includes('The same, bit for bit'),
    explained,
  );
}

/** The two calls that were printed, run as printed. */
async function tryCalls(output: string): Promise<void> {
  const [curl, buf] = output
    .split('\n')
    .flatMap((line) => (/^ {3}(curl|npx buf curl) /.test(line) ? [line.trim()] : []));
  const [viaCurl, viaBuf] = await Promise.all(
    [curl, buf].map(async (command = 'false') =>
      JSON.parse((await run('sh', ['-c', command], { cwd: root, env })).stdout),
    ),
  );
  check('curl over HTTP/1.1 gets an answer', typeof viaCurl.tipId === 'string', JSON.stringify(viaCurl));
  check(
    'buf curl, by reflection over gRPC, gets the same',
    JSON.stringify(viaBuf) === JSON.stringify(viaCurl),
    JSON.stringify(viaBuf),
  );
}

try {
  const first = await start();
  check('it says where it is', /oO ml is up at http:\/\/127\.0\.0\.1:\d+/.test(first.output), first.output);
  for (const part of ['1  Events: ', '2  Generate: ', '3  Score: ', '4  Reaction: ', 'reward +1.0', '5  Verify: ']) {
    check(`it shows "${part.trim()}"`, first.output.includes(part), first.output);
  }
  check('every decision is recomputed bit by bit', first.output.includes(': 100 % bit-equal'), first.output);
  await tryCalls(first.output);
  check('it runs as processes of its own', running().length >= 4, String(running().length));
  const twice = await run('npm', ['start'], { cwd: root, env }).catch((error: { stderr: string }) => error);
  check('another start in the same folder says that one runs', /already runs in this folder/.test(twice.stderr));
  await tryDecision(first.output);
  first.interrupt();
  await first.ended;
  check('Ctrl-C leaves nothing running', await waitFor('all to end', async () => running().length === 0, 30_000));

  const second = await start();
  check('a second start reuses the data', second.output.includes('were there from an earlier start'), second.output);
  for (const pid of running()) process.kill(pid, 'SIGKILL');
  second.kill();
  await second.ended;
  check('everything is killed', await waitFor('all to be gone', async () => running().length === 0, 30_000));

  const third = await start();
  check('it starts after kill -9 of everything', third.output.includes('reward +1.0'), third.output);
  check('with decisions that are still the same', third.output.includes(': 100 % bit-equal'), third.output);
  check('with its data', third.output.includes('were there from an earlier start'), third.output);
  third.interrupt();
  await third.ended;
  check('and stops again', await waitFor('all to end', async () => running().length === 0, 30_000));
} finally {
  for (const pid of running()) process.kill(pid, 'SIGKILL'); // after a failure: nothing may be left
}
process.stdout.write(`${passed} passed, 0 failed\n`);
