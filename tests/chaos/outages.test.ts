// What breaks is waited out by the process that meets it, or ends it with a word: nothing is lost, nothing counts twice,
// and nobody idles in silence. Real processes on real servers, all tests side by side: they mostly wait.

import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, DiscardPolicy, type JetStreamManager } from 'nats';
import { describe, expect, it } from 'vitest';
import { createTipClient } from '../../client/index.ts';
import { TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { freePort } from '../../platform/embedded/free-port.ts';
import { waitFor } from '../../scripts/demo/wait-for.ts';
import { natsBinary, newFolder, startTestPostgres } from '../_util/servers.ts';
import { mountSmallDisk } from '../_util/small-disk.ts';
import { runSql } from '../_util/sql.ts';
import { type OutageRig, startOutageRig } from './rig.ts';
import { publishStory } from './story.ts';

const patience = { timeout: 120_000 };

async function withStreams<Result>(rig: OutageRig, work: (streams: JetStreamManager) => Promise<Result>) {
  const connection = await connect({ servers: rig.nats.url });
  try {
    return await work(await connection.jetstreamManager());
  } finally {
    await connection.close();
  }
}

const storedEvents = async ({ database }: OutageRig): Promise<number> => {
  const { rows } = await database.query<{ count: number }>('SELECT count(*)::int AS count FROM events');
  return rows[0]?.count ?? 0;
};

describe.concurrent('a connection that the network lost without a word', () => {
  it('to Postgres is given up, and the same process stores what it held', patience, async () => {
    await using rig = await startOutageRig();
    const consumers = rig.start();
    await publishStory(rig.ledger, { count: 60, seed: 1 });
    await rig.drained();
    rig.postgresProxy.lose();
    await publishStory(rig.ledger, { count: 60, seed: 2 });
    await sleep(500);
    expect(await storedEvents(rig)).toBeLessThan(rig.ledger.events.size);
    rig.postgresProxy.heal();
    await rig.drained();
    expect(consumers.isRunning()).toBe(true);
    await rig.ledger.check();
  });

  it('to NATS is given up, and the same process reads on', patience, async () => {
    await using rig = await startOutageRig();
    const consumers = rig.start();
    await publishStory(rig.ledger, { count: 60, seed: 3 });
    await rig.drained();
    rig.natsProxy.lose();
    await publishStory(rig.ledger, { count: 60, seed: 4 });
    await sleep(500);
    rig.natsProxy.heal();
    await rig.drained();
    expect(consumers.isRunning()).toBe(true);
    await rig.ledger.check();
  });

  it('to Postgres costs Scores their profiles for a while, not their answers', patience, async () => {
    await using rig = await startOutageRig();
    const PORT = String(await freePort());
    const server = rig.start('server/main.ts', { PORT });
    const client = createTipClient({ baseUrl: `http://127.0.0.1:${PORT}`, timeoutMs: 2_000 });
    const candidates = [{ id: 'a', kind: TipKind.TASK, source: TipSource.TASK_DIRECT }];
    const isWhole = () =>
      client.score({ userId: 'u', candidates }).then(({ degradations }) => degradations.length === 0);
    await waitFor('the first answer', () => isWhole().catch(() => false));
    rig.postgresProxy.lose();
    expect(await isWhole()).toBe(false);
    rig.postgresProxy.heal();
    await waitFor('whole answers', isWhole);
    expect(server.isRunning()).toBe(true);
  });
});

describe.concurrent('a process that finds no server when it starts', () => {
  it('says so, can be stopped, and works once they are there', patience, async () => {
    const postgres = await startTestPostgres();
    await using rig = await startOutageRig(postgres);
    await publishStory(rig.ledger, { count: 60, seed: 5 });
    await Promise.all([rig.nats.kill(), postgres.kill()]);
    const [stopped, patient] = [rig.start(), rig.start()];
    await Promise.all([stopped, patient].map((process) => process.printed(/cannot reach NATS/, 30_000)));
    expect(await stopped.stop()).toBe(0);
    await rig.nats.restart();
    await patient.printed(/waiting for it to come back/, 30_000); // for Postgres, with a batch in hand
    await postgres.restart();
    await rig.drained();
    expect(patient.isRunning()).toBe(true);
    await rig.ledger.check();
  });

  it('or servers that take connections and say nothing', patience, async () => {
    await using rig = await startOutageRig();
    await publishStory(rig.ledger, { count: 60, seed: 6 });
    rig.postgresProxy.lose();
    rig.natsProxy.lose();
    const consumers = rig.start();
    await consumers.printed(/cannot reach NATS/, 30_000);
    rig.natsProxy.heal();
    await consumers.printed(/waiting for it to come back/, 30_000);
    rig.postgresProxy.heal();
    await rig.drained();
    await rig.ledger.check();
  });

  it('and one that loses NATS while it works stops when it is asked to', patience, async () => {
    await using rig = await startOutageRig();
    const consumers = rig.start();
    await publishStory(rig.ledger, { count: 10, seed: 7 });
    await rig.drained();
    await rig.nats.kill();
    await consumers.printed(/connection to NATS is lost/, 30_000);
    const stopping = consumers.stop();
    expect(await Promise.race([stopping, sleep(20_000, 'still there')])).toBe(0);
  });
});

describe.concurrent('a process that is asked to stop', () => {
  it('does so though the network to Postgres is lost, and keeps what it held for others', patience, async () => {
    await using rig = await startOutageRig();
    const consumers = rig.start();
    await publishStory(rig.ledger, { count: 60, seed: 70 });
    await rig.drained();
    rig.postgresProxy.lose();
    await publishStory(rig.ledger, { count: 60, seed: 71 });
    expect(await Promise.race([consumers.stop(), sleep(40_000, 'still there')])).toBe(0);
    rig.postgresProxy.heal();
    rig.start();
    await rig.drained();
    await rig.ledger.check();
  });
});

describe.concurrent('a process whose chores wait for a lock', () => {
  async function startWaiting(rig: OutageRig) {
    const client = await rig.database.connect();
    await client.query('BEGIN; LOCK TABLE tip_outcomes IN ACCESS EXCLUSIVE MODE');
    const consumers = rig.start();
    await waitFor('a chore to wait', async () => {
      const { rowCount } = await rig.database.query(
        "SELECT FROM pg_stat_activity WHERE application_name = 'oo-chores' AND wait_event_type = 'Lock'",
      );
      return rowCount === 1;
    });
    return { consumers, [Symbol.dispose]: () => client.release(true) };
  }

  it('stops when it is asked to', patience, async () => {
    await using rig = await startOutageRig();
    using waiting = await startWaiting(rig);
    expect(await Promise.race([waiting.consumers.stop(), sleep(20_000, 'still there')])).toBe(0);
  });

  it('ends when it cannot go on', patience, async () => {
    await using rig = await startOutageRig();
    using waiting = await startWaiting(rig);
    await withStreams(rig, ({ streams }) => streams.delete('signals'));
    expect(await Promise.race([waiting.consumers.ended, sleep(20_000, 'still there')])).toBe(1);
  });
});

describe.concurrent('a stream of dead letters that is full', () => {
  it('holds up no good event; the bad ones wait, and are put aside once there is room', patience, async () => {
    await using rig = await startOutageRig();
    const limitLetters = (max_msgs: number) =>
      withStreams(rig, (streams) => streams.streams.update('deadletters', { max_msgs, discard: DiscardPolicy.New }));
    const ackWaitMs = 3_000; // this process may be slow: a heartbeat that comes late is not what is looked for
    const consumers = rig.start('consumers/main.ts', { ACK_WAIT_MS: String(ackWaitMs) });
    await publishStory(rig.ledger, { count: 10, seed: 8, badShare: 0 });
    await rig.drained();
    await limitLetters(3);
    const [like] = rig.ledger.events.values();
    if (!like) throw new Error('no event');
    for (let i = 0; i < 10; i++) {
      await rig.ledger.publishBad('garbage', like);
      await publishStory(rig.ledger, { count: 10, seed: 10 + i, badShare: 0 });
      await sleep(60); // longer than the linger: a batch of its own
    }
    await waitFor('the good events', async () => (await storedEvents(rig)) === rig.ledger.events.size);
    await sleep(ackWaitMs * 2);
    await publishStory(rig.ledger, { count: 10, seed: 30, badShare: 0 });
    await waitFor('later good events', async () => (await storedEvents(rig)) === rig.ledger.events.size);
    const look = () => withStreams(rig, ({ consumers }) => consumers.info('signals', 'feature-pipeline-signals'));
    await waitFor('the good events to be acknowledged', async () => (await look()).num_ack_pending <= 7); // stored before
    const durable = await look();
    expect(durable).toMatchObject({ num_ack_pending: 7, num_redelivered: 0 }); // held, by heartbeats
    await consumers.printed(/maximum messages exceeded/, 30_000);
    await limitLetters(-1);
    await rig.drained();
    expect(consumers.isRunning()).toBe(true);
    await rig.ledger.check();
  });
});

describe.concurrent('a Postgres without space on its disk', () => {
  /** Where this user may not mount a disk, a trigger says what Postgres would say, under the same SQLSTATE. */
  async function startPostgresThatCanFill() {
    const disk = await mountSmallDisk(64);
    const postgres = await startTestPostgres();
    const admin = new URL('/postgres', postgres.url).href;
    if (disk) {
      await runSql(admin, `CREATE TABLESPACE small LOCATION '${disk.folder}'`);
      await runSql(admin, `ALTER DATABASE ${new URL(postgres.url).pathname.slice(1)} SET TABLESPACE small`);
      return { postgres, disk, fill: async () => disk.fill(), empty: async () => disk.empty() };
    }
    const raise = `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`;
    await runSql(postgres.url, raise);
    return {
      postgres,
      fill: () =>
        runSql(postgres.url, 'CREATE TRIGGER full BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION full_disk()'),
      empty: () => runSql(postgres.url, 'DROP TRIGGER full ON events'),
    };
  }

  it('is waited out by the same process', patience, async () => {
    const { postgres, fill, empty, ...mounted } = await startPostgresThatCanFill();
    await using _disk = mounted.disk;
    await using rig = await startOutageRig(postgres);
    const consumers = rig.start();
    await publishStory(rig.ledger, { count: 60, seed: 40 });
    await rig.drained();
    await fill();
    await publishStory(rig.ledger, { count: 1_000, seed: 41 });
    await consumers.printed(/No space left on device/, 30_000);
    expect(await storedEvents(rig)).toBeLessThan(rig.ledger.events.size);
    await empty();
    await rig.drained();
    expect(consumers.isRunning()).toBe(true);
    await rig.ledger.check();
  });
});

describe.concurrent('what is deleted under the feet of a process', () => {
  it('ends it with a word; the next one makes it anew and counts nothing twice', patience, async () => {
    await using rig = await startOutageRig();
    const first = rig.start();
    await publishStory(rig.ledger, { count: 60, seed: 50, badShare: 0.1 });
    await rig.drained();
    await withStreams(rig, ({ consumers }) => consumers.delete('signals', 'feature-pipeline-signals'));
    expect(await first.ended).toBe(1);
    expect(first.output()).toMatch(/feature-pipeline-signals of stream signals/);
    const second = rig.start();
    await rig.drained();
    await rig.ledger.check();

    await withStreams(rig, ({ streams }) => streams.delete('signals'));
    expect(await second.ended).toBe(1);
    rig.start();
    await waitFor('the stream', () => rig.bus.inspect('signals').catch(() => undefined));
    await publishStory(rig.ledger, { count: 60, seed: 51, badShare: 0.1 }); // at places that others had before
    await rig.drained();
    await rig.ledger.check();
  });
});

describe.concurrent('a NATS that lets nobody in any more', () => {
  it('ends a process that it let in before, with a word', patience, async () => {
    await using rig = await startOutageRig();
    const consumers = rig.start();
    await publishStory(rig.ledger, { count: 10, seed: 60 });
    await rig.drained();
    await rig.nats.kill();
    const { hostname, port } = new URL(rig.nats.url);
    const args = ['-a', hostname, '-p', port, '--auth', 'secret', '-l', newFolder('log')];
    const locked = spawn(natsBinary(), args, { stdio: 'ignore' });
    expect(await consumers.ended).toBe(1);
    locked.kill();
    expect(consumers.output()).toMatch(/authorization violation/i);
  });
});
