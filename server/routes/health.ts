import type { ConnectRouter } from '@connectrpc/connect';
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as Status,
} from '../../gen/proto/grpc/health/v1/health_pb.ts';
import { notFound, resourceExhausted } from '../../platform/errors.ts';

export interface Health {
  readonly routes: (router: ConnectRouter) => void;
  /** Not serving until it is told otherwise. */
  isServing(): boolean;
  setServing(isServing: boolean): void;
  /** Ends all watches, after they have told the last status. */
  endWatches(): void;
}

/** One status for the whole process and, since they stand and fall together, for each of its services. */
export function createHealth(services: () => readonly string[], watchesMax: number): Health {
  let isServing = false;
  let isEnded = false;
  let watches = 0;
  const wakers = new Set<() => void>();

  const statusOf = (service: string) => {
    if (service !== '' && !services().includes(service)) return Status.SERVICE_UNKNOWN;
    return isServing ? Status.SERVING : Status.NOT_SERVING;
  };
  const wakeAll = () => {
    for (const wake of wakers) wake();
  };
  const nextChange = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      const wake = () => {
        wakers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      wakers.add(wake);
      signal.addEventListener('abort', wake);
    });

  return {
    isServing: () => isServing,
    setServing: (value) => {
      isServing = value;
      wakeAll();
    },
    endWatches: () => {
      isEnded = true;
      wakeAll();
    },
    routes: (router) =>
      router.service(HealthService, {
        check: ({ service }) => {
          const status = statusOf(service);
          if (status === Status.SERVICE_UNKNOWN) throw notFound('SERVICE_UNKNOWN', 'there is no such service');
          return { status };
        },
        list: () => ({
          statuses: Object.fromEntries(['', ...services()].map((service) => [service, { status: statusOf(service) }])),
        }),
        async *watch({ service }, { signal }) {
          if (watches >= watchesMax) throw resourceExhausted('TOO_MANY_WATCHES', `at most ${watchesMax} may watch`);
          watches++;
          try {
            let told: Status | undefined;
            while (!signal.aborted) {
              const status = statusOf(service);
              if (status !== told) {
                told = status;
                yield { status };
              } else if (isEnded) {
                return;
              } else {
                await nextChange(signal);
              }
            }
          } finally {
            watches--;
          }
        },
      }),
  };
}
