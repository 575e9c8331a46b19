import type { DeadLetterReasonName } from '../gen/proto/oo/contract.ts';
import type { Bus, Delivery } from '../platform/bus.ts';

export interface DeadLetter {
  readonly delivery: Delivery;
  readonly reason: DeadLetterReasonName;
  readonly error: string;
}

/** Headers of a dead letter, beside those the message came with. */
export const deadLetterHeaders = {
  reason: 'Oo-Reason',
  error: 'Oo-Error',
  subject: 'Oo-Subject',
  sequence: 'Oo-Stream-Sequence',
  deliveries: 'Oo-Deliveries',
  messageId: 'Oo-Msg-Id',
} as const;

const publishMs = 5_000;

/**
 * Puts a message that can never be stored aside: its original bytes on `deadletters.<stream>`, with the reason. Only
 * once the stream has it is the message taken off its own stream. Repeating it after a crash stores it once. Throws
 * BusError.
 */
export async function putAside(
  bus: Bus,
  durable: { readonly stream: string; readonly name: string },
  letter: DeadLetter,
): Promise<void> {
  const { delivery, reason, error } = letter;
  const { 'Nats-Msg-Id': messageId, ...original } = delivery.headers;
  await bus.publish(`deadletters.${durable.stream}`, delivery.data, {
    id: `dlq:${durable.stream}:${durable.name}:${delivery.sequence}`,
    timeoutMs: publishMs,
    headers: {
      ...Object.fromEntries(Object.entries(original).filter(([name]) => !name.startsWith('Nats-'))),
      [deadLetterHeaders.reason]: reason,
      [deadLetterHeaders.error]: oneLine(error),
      [deadLetterHeaders.subject]: delivery.subject,
      [deadLetterHeaders.sequence]: String(delivery.sequence),
      [deadLetterHeaders.deliveries]: String(delivery.deliveries),
      ...(messageId ? { [deadLetterHeaders.messageId]: messageId } : {}),
    },
  });
  delivery.terminate();
}

/** A header is one line of printable ASCII. */
function oneLine(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 200);
}
