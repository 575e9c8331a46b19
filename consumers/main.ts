import { createEventStore } from '../features/event-store.ts';
import { openDatabase } from '../platform/database.ts';
import { createLog } from '../platform/log.ts';
import { openBus } from '../platform/nats-bus.ts';
import { runMain } from '../platform/run-main.ts';
import { readConsumersConfig } from './config.ts';
import { batchesInFlight, durablesOf } from './durables.ts';
import { runConsumers } from './run-consumers.ts';

await runMain(async (signal) => {
  const config = readConsumersConfig(process.env);
  const durables = durablesOf(config.ackWaitMs);
  const log = createLog({ name: 'consumers', level: config.logLevel, pretty: process.stdout.isTTY });
  const database = openDatabase({
    url: config.databaseUrl,
    applicationName: 'oo-consumers',
    maxConnections: durables.length * batchesInFlight,
  });
  const bus = await openBus({ url: config.natsUrl, name: 'oo-consumers' });
  const lost = new AbortController();
  void bus.closed.then((error) => {
    if (!signal.aborted) lost.abort(error ?? new Error('the bus closed the connection'));
  });
  try {
    const eventStore = createEventStore(database);
    await runConsumers({ bus, eventStore, log, durables, signal: AbortSignal.any([signal, lost.signal]) });
    lost.signal.throwIfAborted();
  } finally {
    await bus.close();
    await database.end();
  }
});
