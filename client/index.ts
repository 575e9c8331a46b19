// What a recommender and other producers import.
export { type ClientOptions, createTipClient, type TipClient } from './create-client.ts';
export { createEventPublisher, type EventInit, type EventPublisher, type EventPublisherOptions } from './create-publisher.ts';
export { openBus } from '../platform/bus.ts';
