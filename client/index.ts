// What a recommender and other producers import.

export { openBus } from '../platform/nats-bus.ts';
export { type ClientOptions, createTipClient, type TipClient } from './create-client.ts';
export {
  createEventPublisher,
  type EventInit,
  type EventPublisher,
  type EventPublisherOptions,
} from './create-publisher.ts';
